package callbacks

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// R23: whatever the resolver does, the attempt is a dns_error that ends in time, and is retried.
func TestNameServerFaults(t *testing.T) {
	t.Parallel()
	for name, z := range map[string]zone{
		"NXDOMAIN": names(nil),
		"SERVFAIL": func(string) ([]string, dnsmessage.RCode) { return nil, dnsmessage.RCodeServerFailure },
		"REFUSED":  func(string) ([]string, dnsmessage.RCode) { return nil, dnsmessage.RCodeRefused },
		"silence":  func(string) ([]string, dnsmessage.RCode) { return nil, silent },
		"empty":    func(string) ([]string, dnsmessage.RCode) { return nil, dnsmessage.RCodeSuccess },
		"CNAME loop": func(name string) ([]string, dnsmessage.RCode) {
			return []string{"cname:loop." + strings.TrimPrefix(name, "loop.")}, dnsmessage.RCodeSuccess
		},
	} {
		t.Run("R23 "+name, func(t *testing.T) {
			t.Parallel()
			p := poster(t, ClientOptions{Rules: strictRules(), Resolver: resolver(t, z)})
			start := time.Now()
			got := postOnce(t.Context(), p, withTimeout(claim("http://receiver.test/"), 500*time.Millisecond), 1)
			require.Less(t, time.Since(start), 6*time.Second)
			require.Equal(t, ClassDNS, got.ErrorClass)
			require.Equal(t, Waiting, steady().Decide(got, 1, time.Now()).State)
		})
	}
}

// R23: a lookup ends with its attempt, and does not go on for the resolver's own timeouts.
func TestR23LookupEndsWithItsAttempt(t *testing.T) {
	t.Parallel()
	asked := make(chan context.Context, 100)
	r := resolver(t, func(string) ([]string, dnsmessage.RCode) { return nil, silent })
	dial := r.Dial
	r.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		asked <- ctx
		return dial(ctx, network, address)
	}
	p := poster(t, ClientOptions{Rules: strictRules(), Resolver: r})
	got := postOnce(t.Context(), p, withTimeout(claim("http://receiver.test/"), 200*time.Millisecond), 1)
	require.Equal(t, ClassDNS, got.ErrorClass)
	for range len(asked) {
		select {
		case <-(<-asked).Done():
		case <-time.After(2 * time.Second):
			t.Fatal("the lookup outlives its attempt")
		}
	}
}

func TestR23ThousandAddressesAreBounded(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf("127.1.%d.%d", i/250, 1+i%250))
	}
	p := poster(t, ClientOptions{Rules: openRules(), Resolver: resolver(t, names(map[string][]string{"many.test": many}))})
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, shut.Close())
	start := time.Now()
	got := postOnce(t.Context(), p, withTimeout(claim(named("many.test", shut.Addr().String())), time.Second), 1)
	require.Less(t, time.Since(start), 6*time.Second)
	require.Contains(t, []Class{ClassConnect, ClassTimeout}, got.ErrorClass)
}

// blackhole is an address whose packets vanish: a listener whose queue is full drops every further SYN.
func blackhole(t *testing.T, ip net.IP, port int) {
	t.Helper()
	family, at := syscall.AF_INET6, syscall.Sockaddr(&syscall.SockaddrInet6{Port: port, Addr: [16]byte(ip.To16())})
	if v4 := ip.To4(); v4 != nil {
		family, at = syscall.AF_INET, &syscall.SockaddrInet4{Port: port, Addr: [4]byte(v4)}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(t, syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
	require.NoError(t, syscall.Bind(fd, at))
	require.NoError(t, syscall.Listen(fd, 0))
	target := net.JoinHostPort(ip.String(), fmt.Sprint(port))
	for {
		c, err := net.DialTimeout("tcp", target, 100*time.Millisecond)
		if err != nil {
			require.True(t, os.IsTimeout(err), "%v", err)
			return
		}
		t.Cleanup(func() { _ = c.Close() })
	}
}

// R24: an address that swallows packets leaves time for the next one.
func TestR24BlackholedAddressFallsBackInBudget(t *testing.T) {
	t.Parallel()
	good := receive(t, nil)
	port := good.Listener.Addr().(*net.TCPAddr).Port
	blackhole(t, net.IPv4(127, 0, 0, 3), port)
	dns := resolver(t, names(map[string][]string{"two.test": {"127.0.0.3", "127.0.0.1"}}))
	p := poster(t, ClientOptions{Rules: openRules(), Resolver: dns})
	got := postOnce(t.Context(), p, withTimeout(claim(named("two.test", good.URL)), 5*time.Second), 1)
	require.Equal(t, 204, got.StatusCode, got.ErrorClass)

	alone := postOnce(t.Context(), p, withTimeout(claim(fmt.Sprintf("http://127.0.0.3:%d/", port)), 300*time.Millisecond), 1)
	require.Equal(t, ClassTimeout, alone.ErrorClass)
	require.Contains(t, steady().Decide(alone, 1, time.Now()).Rule, "timeout (connect)", "R1: the phase is told")
}

// R24: a receiver on IPv6 alone is reached, by name and by number.
func TestR24IPv6Alone(t *testing.T) {
	t.Parallel()
	six := receiveAt(t, "[::1]:0", nil)
	dns := resolver(t, names(map[string][]string{"six.test": {"::1"}}))
	p := poster(t, ClientOptions{Rules: openRules(), Resolver: dns})
	require.Equal(t, 204, post(t, p, named("six.test", six.URL)).StatusCode)
	require.Equal(t, 204, post(t, p, six.URL).StatusCode)
	require.Len(t, six.messages(), 2)
}

// R24: IPv6 that swallows packets holds IPv4 up for a moment only (RFC 8305).
func TestR24BlackholedIPv6FallsBackToIPv4(t *testing.T) {
	t.Parallel()
	good := receive(t, nil)
	blackhole(t, net.IPv6loopback, good.Listener.Addr().(*net.TCPAddr).Port)
	dns := resolver(t, names(map[string][]string{"dual.test": {"::1", "127.0.0.1"}}))
	p := poster(t, ClientOptions{Rules: openRules(), Resolver: dns})
	start := time.Now()
	got := postOnce(t.Context(), p, withTimeout(claim(named("dual.test", good.URL)), 10*time.Second), 1)
	require.Equal(t, 204, got.StatusCode, got.ErrorClass)
	require.Less(t, time.Since(start), 6*time.Second)
}

// R24: where nothing answers on IPv6, IPv4 is tried.
func TestR24RefusedIPv6FallsBackToIPv4(t *testing.T) {
	t.Parallel()
	good := receive(t, nil)
	dns := resolver(t, names(map[string][]string{"dual.test": {"::1", "127.0.0.1"}}))
	p := poster(t, ClientOptions{Rules: openRules(), Resolver: dns})
	start := time.Now()
	require.Equal(t, 204, post(t, p, named("dual.test", good.URL)).StatusCode)
	require.Less(t, time.Since(start), 6*time.Second)
}
