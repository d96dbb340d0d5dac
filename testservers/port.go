package testservers

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports stand below those from which systems take a client's (32768 and more on Linux): while a server is down, no connection, not
// even an attempt to reach it, takes its port.
const firstPort, lastPort = 10_000, 32_000

// freePort gives a port of 127.0.0.1 on which nobody listens. Somebody else may still take it before the server does.
func freePort() (int, error) {
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", address(port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("testservers: found no free port between %d and %d: end what listens there", firstPort, lastPort)
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
