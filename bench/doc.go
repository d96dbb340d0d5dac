// Command bench measures Ringback on this machine in one run and prints a
// Markdown table; --json FILE writes the same as JSON (- for stdout).
//
//	go run ./bench
//	go run ./bench --modes fleet
//	go run ./bench --short
//
// It measures the program as it is run: it builds cmd/ringback, starts
// `ringback serve` and `ringback simulate` as processes of their own with a
// temporary data folder, and stands at both ends itself: as the client that
// submits and as the receiver that verifies each callback. All traffic stays
// on 127.0.0.1. In the mode fleet it starts a PostgreSQL, a Redis and an S3 server
// for itself (package testservers), and Ringback as an API and workers over them. It needs Linux, whose /proc tells CPU time and memory.
//
// It ends with 1 and says why where a line was not answered exactly once, a
// callback did not come or did not verify, a crash repeated more calls than
// the design bounds, or the simulator was too slow to measure against.
package main
