// What the operating system says of this process and of a folder.
package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// proc gives the number after "name:" in a file of /proc/self, and 0 where there is none.
func proc(file, name string) uint64 {
	text, _ := os.ReadFile("/proc/self/" + file)
	for _, line := range strings.Split(string(text), "\n") {
		if rest, found := strings.CutPrefix(line, name+":"); found {
			n, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n
		}
	}
	return 0
}

// written is how many bytes this process sent to the disk.
func written() uint64 { return proc("io", "write_bytes") }

// resident is how many bytes of memory it holds.
func resident() uint64 { return proc("status", "VmRSS") * 1024 }

// cpu is how many milliseconds this process spent on all cores. The kernel counts in hundredths of a second.
func cpu() float64 {
	text, _ := os.ReadFile("/proc/self/stat")
	// After the program's name, which may have spaces: state is field 3, user time 14, system time 15.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	ticks := 0.0
	for i := 11; i < min(13, len(fields)); i++ {
		n, _ := strconv.ParseUint(fields[i], 10, 64)
		ticks += float64(n)
	}
	return ticks * 10
}

// size is how many bytes the files in dir have.
func size(dir string) (sum uint64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		// A file that a compaction dropped meanwhile has no size.
		if info, err := entry.Info(); err == nil {
			sum += uint64(info.Size())
		}
		return nil
	})
	return sum, err
}
