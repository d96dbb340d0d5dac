package callbacks

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// exhaust takes away every free file descriptor of the process until the test ends.
func exhaust(t *testing.T) (restore func()) {
	t.Helper()
	var was syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was))
	null, err := os.Open(os.DevNull) // it gets the lowest number that is free
	require.NoError(t, err)
	lowest := uint64(null.Fd())
	require.NoError(t, null.Close())
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: lowest, Max: was.Max}))
	restore = func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)) }
	t.Cleanup(restore)
	for { // what others have closed since
		null, err := os.Open(os.DevNull)
		if err != nil {
			require.ErrorIs(t, err, syscall.EMFILE)
			return restore
		}
		t.Cleanup(func() { _ = null.Close() })
	}
}

// What this machine lacks is not the receiver's fault, and no try. Not parallel: the limit is the process's.
func TestLocalShortageIsNoTry(t *testing.T) {
	dead := shut(t)
	p := openPoster(t)
	sockets := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:9")
	}}
	lookups := poster(t, ClientOptions{Rules: openRules(), Resolver: sockets})
	restore := exhaust(t)
	var dialled, looked Result
	for range 100 { // a socket that another test closes meanwhile leaves room for one dial
		dialled, looked = post(t, p, dead), post(t, lookups, named("receiver.test", dead))
		if dialled.Local && looked.Local {
			break
		}
	}
	restore()
	for name, got := range map[string]Result{"at the dial": dialled, "at the resolver's dial": looked} {
		require.Equal(t, ClassLocal, got.ErrorClass, name)
		require.True(t, got.Local, name)
		for _, tries := range []int{1, 5, 9} {
			d := steady().Decide(got, tries, time.Now())
			require.Equal(t, Decision{
				State: Waiting, Reason: "local_error", Rule: "no try: local_error, again in 1m", Delay: time.Minute, NoTry: true,
			}, d, name)
		}
	}
	require.Equal(t, 204, post(t, p, receive(t, nil).URL).StatusCode, "and goes on once there is room")
}

func TestOnlyShortagesBeforeTheRequestAreLocal(t *testing.T) {
	t.Parallel()
	dial := func(code syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", code)}
	}
	for _, code := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		require.Equal(t, ClassLocal, classify(dial(code), progress{phase: phaseConnect}), code)
		require.Equal(t, ClassLocal, classify(&net.DNSError{Err: dial(code).Error()}, progress{phase: phaseDNS}), code)
		require.Equal(t, ClassReset, classify(dial(code), progress{phase: phaseAnswer}), "the receiver may have it")
	}
	for _, code := range []syscall.Errno{syscall.ECONNREFUSED, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EADDRNOTAVAIL} {
		require.Equal(t, ClassConnect, classify(dial(code), progress{phase: phaseConnect}), code)
	}
	require.Equal(t, ClassDNS, classify(&net.DNSError{Err: "no such host"}, progress{phase: phaseDNS}))
	require.Equal(t, ClassConnect, classify(errors.New("other"), progress{phase: phaseConnect}))
}
