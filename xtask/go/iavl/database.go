// A tree in goleveldb as the SDK's rootmulti store keeps one (cosmossdk.io/store v1.1, rootmulti/store.go).
package main

import (
	"fmt"

	"github.com/cosmos/iavl"
	"github.com/cosmos/iavl/db"
)

// settings by name.
var settings = map[string]struct {
	nodes     int
	skipsFast bool
}{
	// The SDK's defaults: `iavl-cache-size = 781250`, `iavl-disable-fastnode = false`.
	"sdk": {781_250, false},
	// Every node of a tree of 1 M keys and its fifty next versions.
	"cached": {4_000_000, true},
}

// store is one module's tree, and the database that all modules share.
type store struct {
	*iavl.MutableTree
	level *db.GoLevelDB
}

// open loads the newest version. iavl's own goleveldb wrapper sets what that of cosmos-db sets (a bloom filter of 10
// bits), over the same release of goleveldb, and comes without four other databases.
func open(dir, name string) (*store, error) {
	set, known := settings[name]
	if !known {
		return nil, fmt.Errorf("settings %q: sdk or cached", name)
	}
	level, err := db.NewGoLevelDB("application", dir)
	if err != nil {
		return nil, err
	}
	of := db.NewPrefixDB(level, []byte("s/k:bench/"))
	tree := iavl.NewMutableTree(of, set.nodes, set.skipsFast, iavl.NewNopLogger())
	_, err = tree.Load()
	return &store{tree, level}, err
}

// commit does what rootmulti's Commit does: it saves the tree, not synced, then the version's metadata in one synced
// batch. Both are in one write-ahead log, so that syncs both.
func (s *store) commit() ([]byte, error) {
	hash, version, err := s.SaveVersion()
	if err != nil {
		return nil, err
	}
	batch := s.level.NewBatch()
	defer batch.Close()
	// CommitInfo: version, one store's name and commit id, a timestamp.
	if err := batch.Set([]byte(fmt.Sprintf("s/%d", version)), append(make([]byte, 32), hash...)); err != nil {
		return nil, err
	}
	if err := batch.Set([]byte("s/latest"), []byte(fmt.Sprint(version))); err != nil {
		return nil, err
	}
	return hash, batch.WriteSync()
}

func (s *store) close() error {
	if err := s.MutableTree.Close(); err != nil {
		return err
	}
	// The prefixed view may have closed it already.
	_ = s.level.Close()
	return nil
}
