// The loads of `cargo xtask bench store`. store/examples/figures makes the same keys, values and blocks.
package main

import (
	"encoding/hex"
	"fmt"
	"runtime"
	"sort"
	"strconv"
	"time"

	"github.com/cosmos/iavl"
)

// loadBlock is how many keys a block of the load has.
const loadBlock = 100_000

type figure struct {
	Name  string  `json:"figure"`
	Value float64 `json:"value"`
}

type benchRoot struct {
	Phase  string `json:"phase"`
	Height int    `json:"height"`
	Root   string `json:"root"`
}

func tell(name string, value float64) error { return say(figure{name, value}) }

// benchKey is the key with this number: 32 bytes.
func benchKey(n uint64) string {
	r := splitMix(n)
	return string(r.bytes(32))
}

// updates is a block of changes random updates of existing keys.
func updates(r *splitMix, keys, count uint64) changes {
	block := changes{}
	for range count {
		key := benchKey(r.below(keys))
		block[key] = r.bytes(64)
	}
	return block
}

// mix is a block of 80 % updates, 15 % new keys above top, 5 % removes.
func mix(r *splitMix, keys, count uint64, top *uint64) changes {
	block := changes{}
	for range count {
		switch chance := r.below(100); {
		case chance < 15:
			*top++
			block[benchKey(*top)] = r.bytes(64)
		case chance < 20:
			block[benchKey(r.below(keys))] = nil
		default:
			key := benchKey(r.below(keys))
			block[key] = r.bytes(64)
		}
	}
	return block
}

func sum(times []float64) (all float64) {
	for _, time := range times {
		all += time
	}
	return all
}

// timed runs f and gives how many milliseconds it took.
func timed(f func() error) (float64, error) {
	start := time.Now()
	err := f()
	return float64(time.Since(start).Nanoseconds()) / 1e6, err
}

// quantiles prints the median, the 95th percentile and the least of times in milliseconds.
func quantiles(name string, times []float64) {
	sort.Float64s(times)
	at := func(percent int) float64 { return times[max(1, (len(times)*percent+99)/100)-1] }
	tell(name+"_p50_ms", at(50))
	tell(name+"_p95_ms", at(95))
	tell(name+"_least_ms", at(0))
}

// run measures one bench.
type run struct {
	*store
	dir    string
	height int
	// Bytes of keys and values in all blocks so far.
	logical int
}

// block applies, hashes and commits one block; it gives the milliseconds that applying and hashing took, and those of
// the commit.
func (r *run) block(phase string, block changes) (stage, commit float64, err error) {
	stage, err = timed(func() error {
		if err := write(r.MutableTree, block); err != nil {
			return err
		}
		// FinalizeBlock answers with it.
		r.WorkingHash()
		return nil
	})
	if err != nil {
		return
	}
	for key, value := range block {
		r.logical += len(key) + len(value)
	}
	r.height++
	var hash []byte
	commit, err = timed(func() (err error) {
		hash, err = r.commit()
		return err
	})
	if err == nil {
		err = say(benchRoot{phase, r.height, hex.EncodeToString(hash)})
	}
	return
}

// blocks runs count blocks that next makes, and prints what they cost under phase.
func (r *run) blocks(phase string, count uint64, next func() changes) error {
	if count == 0 {
		return nil
	}
	before, logical, keys, spent := written(), r.logical, 0, 0.0
	live, err := size(r.dir)
	if err != nil {
		return err
	}
	var stages, commits, wholes []float64
	for range count {
		block := next()
		keys += len(block)
		start := cpu()
		stage, commit, err := r.block(phase, block)
		if err != nil {
			return err
		}
		spent += cpu() - start
		stages, commits, wholes = append(stages, stage), append(commits, commit), append(wholes, stage+commit)
	}
	after, err := size(r.dir)
	if err != nil {
		return err
	}
	each := func(bytes uint64) float64 { return float64(bytes) / float64(count) }
	quantiles(phase+"_stage", stages)
	quantiles(phase+"_commit", commits)
	quantiles(phase+"_whole", wholes)
	tell(phase+"_keys_s", float64(keys)/sum(wholes)*1e3)
	tell(phase+"_cpu_ms", spent/float64(count))
	tell(phase+"_logical_bytes", each(uint64(r.logical-logical)))
	tell(phase+"_live_bytes", (float64(after)-float64(live))/float64(count))
	return tell(phase+"_written_bytes", each(written()-before))
}

// reads prints how many of count random keys get reads in a second.
func reads(name string, keys, count uint64, get func(key []byte) error) error {
	if count == 0 {
		return nil
	}
	r := splitMix(4)
	picked := make([][]byte, count)
	for i := range picked {
		picked[i] = []byte(benchKey(r.below(keys)))
	}
	took, err := timed(func() error {
		for _, key := range picked {
			if err := get(key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return tell(name, float64(count)/took*1e3)
}

// parsed gives count numbers, which are all of args after the folder and the settings.
func parsed(args []string, count int) ([]uint64, error) {
	if len(args) != 2+count {
		return nil, fmt.Errorf("%d arguments\n%s", len(args), usage)
	}
	numbers := make([]uint64, count)
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.ParseUint(args[2+i], 10, 64); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

func bench(args []string) error {
	numbers, err := parsed(args, 6)
	if err != nil {
		return err
	}
	keys, count, mixed, per, readsWanted, proofs := numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
	runtime.GC()
	start := resident()
	opened, err := open(args[0], args[1])
	if err != nil {
		return err
	}
	r := &run{store: opened, dir: args[0]}
	if err := r.load(keys); err != nil {
		return err
	}
	runtime.GC()
	tell("resident_bytes_key", float64(resident()-start)/float64(keys))
	random := splitMix(2)
	if err := r.blocks("update", count, func() changes { return updates(&random, keys, per) }); err != nil {
		return err
	}
	if err := r.readAll(keys, readsWanted, proofs); err != nil {
		return err
	}
	random, top := splitMix(3), keys
	if err := r.blocks("mixed", mixed, func() changes { return mix(&random, keys, per, &top) }); err != nil {
		return err
	}
	files, err := size(r.dir)
	if err != nil {
		return err
	}
	tell("files_bytes", float64(files))
	tell("all_logical_bytes", float64(r.logical))
	return r.close()
}

// load writes all keys, and prints how many seconds that took.
func (r *run) load(keys uint64) error {
	random, took := splitMix(1), 0.0
	for first := uint64(0); first < keys; first += loadBlock {
		block := changes{}
		for n := first; n < min(keys, first+loadBlock); n++ {
			block[benchKey(n)] = random.bytes(64)
		}
		stage, commit, err := r.block("load", block)
		if err != nil {
			return err
		}
		took += stage + commit
	}
	return tell("load_s", took/1e3)
}

// readAll reads the newest version and one ten blocks old, and proves.
func (r *run) readAll(keys, count, proofs uint64) error {
	err := reads("latest_reads_s", keys, count, func(key []byte) error {
		value, err := r.Get(key)
		if err == nil && value == nil {
			err = fmt.Errorf("key %x is missing", key)
		}
		return err
	})
	if err != nil {
		return err
	}
	old, err := r.GetImmutable(int64(max(1, r.height-10)))
	if err != nil {
		return err
	}
	err = reads("old_reads_s", keys, count, func(key []byte) error {
		_, err := old.Get(key)
		return err
	})
	if err != nil {
		return err
	}
	newest, err := r.GetImmutable(int64(r.height))
	if err != nil {
		return err
	}
	return reads("proofs_s", keys, proofs, func(key []byte) error {
		_, err := newest.GetMembershipProof(key)
		return err
	})
}

// reopen opens what a bench left, and reads ten blocks back with caches that are empty.
func reopen(args []string) error {
	numbers, err := parsed(args, 2)
	if err != nil {
		return err
	}
	var opened *store
	took, err := timed(func() (err error) {
		opened, err = open(args[0], args[1])
		return err
	})
	if err != nil {
		return err
	}
	tell("reopen_s", took/1e3)
	var old *iavl.ImmutableTree
	took, err = timed(func() (err error) {
		old, err = opened.GetImmutable(max(1, opened.Version()-10))
		return err
	})
	if err != nil {
		return err
	}
	tell("cold_snapshot_ms", took)
	err = reads("cold_reads_s", numbers[0], numbers[1], func(key []byte) error {
		_, err := old.Get(key)
		return err
	})
	if err != nil {
		return err
	}
	return opened.close()
}
