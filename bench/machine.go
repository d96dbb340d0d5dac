package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// Machine is where and how a result was made.
type Machine struct {
	Cores   int    `json:"cores"`
	CPU     string `json:"cpu"`
	System  string `json:"system"`
	Go      string `json:"go"`
	Date    string `json:"date"` // RFC 3339, UTC
	Command string `json:"command"`
}

func describeMachine(command string, now time.Time) Machine {
	return Machine{
		Cores: runtime.NumCPU(), CPU: cpuName(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Go: runtime.Version(), Date: now.UTC().Format(time.RFC3339), Command: command,
	}
}

// cpuName is "unknown CPU" where the system does not tell.
func cpuName() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

func (m Machine) String() string {
	return fmt.Sprintf("%d cores (%s), %s, %s, %s", m.Cores, m.CPU, m.System, m.Go, m.Date)
}
