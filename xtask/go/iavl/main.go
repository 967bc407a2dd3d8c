// Runs cosmos/iavl: its roots for the tests of package store, its speed for `cargo xtask bench store`.
//
// Reading order: random.go makes keys and blocks from a seed; roots.go prints what tree they give; bench.go measures,
// with the database that database.go opens and what system.go asks of the operating system.
//
// Every line of output is a JSON object. store/tests/go_roots.rs and store/examples/figures make the same keys, values
// and blocks from the same seeds, so that the roots can be compared.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

const usage = `usage: braid-iavl roots SEED
       braid-iavl bench  DIR sdk|cached KEYS BLOCKS MIXED CHANGES READS PROOFS
       braid-iavl reopen DIR sdk|cached KEYS READS`

var commands = map[string]func(args []string) error{"roots": roots, "bench": bench, "reopen": reopen}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// say prints one JSON object on a line.
func say(line any) error {
	return json.NewEncoder(os.Stdout).Encode(line)
}
