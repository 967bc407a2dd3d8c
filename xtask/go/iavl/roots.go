// The roots of trees over random blocks, for store/tests/go_roots.rs.
package main

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/cosmos/iavl"
	"github.com/cosmos/iavl/db"
)

// trees are those that one seed gives, one after another.
var trees = []struct {
	space, most uint64
	first, last int64
}{
	{40, 12, 1, 60},
	{2_000, 400, 1, 30},
	{300, 60, 100_000, 100_020},
	{60_000, 15_000, 1, 8},
}

type root struct {
	Tree    int    `json:"tree"`
	Version int64  `json:"version"`
	Changes int    `json:"changes"`
	Size    int64  `json:"size"`
	Root    string `json:"root"`
}

func roots(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%d arguments, want a seed", len(args))
	}
	seed, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil {
		return err
	}
	r := splitMix(seed)
	for i, t := range trees {
		tree := iavl.NewMutableTree(db.NewMemDB(), 100_000, true, iavl.NewNopLogger(),
			iavl.InitialVersionOption(uint64(t.first)))
		state := changes{}
		for version := t.first; version <= t.last; version++ {
			block := testBlock(&r, state, t.space, t.most)
			if err := write(tree, block); err != nil {
				return err
			}
			hash, saved, err := tree.SaveVersion()
			if err != nil {
				return err
			}
			if saved != version {
				return fmt.Errorf("saved version %d, want %d", saved, version)
			}
			for key, value := range block {
				if value == nil {
					delete(state, key)
				} else {
					state[key] = value
				}
			}
			if err := say(root{i, version, len(block), tree.Size(), hex.EncodeToString(hash)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// write applies a block in key order.
func write(tree *iavl.MutableTree, block changes) error {
	for _, key := range block.sorted() {
		var err error
		if value := block[key]; value == nil {
			_, _, err = tree.Remove([]byte(key))
		} else {
			_, err = tree.Set([]byte(key), value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
