// Keys, values and blocks from a seed. store/tests/go_roots.rs makes the same.
package main

import (
	"bytes"
	"encoding/binary"
	"sort"
)

// splitMix is Sebastiano Vigna's splitmix64.
type splitMix uint64

func (r *splitMix) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

func (r *splitMix) below(n uint64) uint64 { return r.next() % n }

// bytes takes as many little-endian words as it needs and cuts the last.
func (r *splitMix) bytes(n int) []byte {
	out := make([]byte, 0, n+8)
	for len(out) < n {
		out = binary.LittleEndian.AppendUint64(out, r.next())
	}
	return out[:n:n]
}

// changes is a block: a value, or nil where the key is removed.
type changes map[string][]byte

// sorted gives the keys in ascending order: the order in which the SDK's cachekv writes them.
func (c changes) sorted() []string {
	keys := make([]string, 0, len(c))
	for key := range c {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// testKey is short, or shares a long prefix with others, or looks like a hash, or is long.
func testKey(n uint64) string {
	number := binary.BigEndian.AppendUint64(nil, n)
	switch n % 4 {
	case 0:
		return string(number[7-n/4%8:])
	case 1:
		return "a prefix that many keys share/" + string(number)
	case 2:
		r := splitMix(n)
		return string(r.bytes(32))
	default:
		return string(number) + string(bytes.Repeat([]byte{0xaa}, int(n%200)))
	}
}

// testValue is empty, or long, or has up to 64 bytes.
func testValue(r *splitMix) []byte {
	switch r.below(8) {
	case 0:
		return []byte{}
	case 1:
		return r.bytes(1000 + int(r.below(100)))
	default:
		return r.bytes(1 + int(r.below(64)))
	}
}

// testBlock is what a block may do to state: nothing, remove everything, only remove (also what is not there), only
// write what was there already, or some of each, with up to most changes of keys below space.
func testBlock(r *splitMix, state changes, space, most uint64) changes {
	block := changes{}
	kind := r.below(16)
	if kind == 0 {
		return block
	}
	if kind == 1 {
		for key := range state {
			block[key] = nil
		}
		return block
	}
	for left := 1 + r.below(most); left > 0; left-- {
		key := testKey(r.below(space))
		old, there := state[key]
		chance := r.below(100)
		switch {
		case kind == 2 || (kind > 3 && chance < 25):
			block[key] = nil
		case there && (kind == 3 || chance < 35):
			block[key] = old
		case kind > 3:
			block[key] = testValue(r)
		}
	}
	return block
}
