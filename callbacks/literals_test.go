package callbacks

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// literals are hosts that spell out an address inside, by the row that names them. Each is refused for good.
func literals() map[string][]string {
	return map[string][]string{
		"S1": {
			"127.0.0.1", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255",
			"169.254.169.254", "100.64.0.1", "100.127.255.255", "0.0.0.0", "192.0.0.8", "198.18.0.1", "198.19.255.255",
			"224.0.0.1", "255.255.255.255", "192.0.2.1", "198.51.100.7", "203.0.113.9", "192.88.99.1", "240.0.0.1",
			"168.63.129.16", "100.100.100.200", "127.255.255.254", "0.1.2.3",
		},
		"S2": {
			"[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:8.8.8.8]", "[fd00:ec2::254]", "[fe80::1%25eth0]",
			"[fe80::1]", "[fec0::1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2001::]",
			"[2001:0:ffff::1]", "[5f00::]", "[5f00::1]", "[2001:db8::1]", "[ff02::1]", "[100::1]", "[3fff::1]", "[::127.0.0.1]",
			"[2001:4860:4860::8888%25eth0]", "[fc00::1]", "[::ffff:0:127.0.0.1]",
		},
		"S3": {
			"2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost.", "LOCALHOST", "localhost", "0x7f000001", "017700000001",
			"127.0.1", "127.0.0.1.", "app.localhost", "134744072", "127.0.0.0x1", "0", "0x", "0X7F.0.0.1",
		},
	}
}

// sealed makes a Poster whose dials are counted and lead nowhere: what reaches them has passed every check before.
func sealed(t *testing.T, rules Rules) (p *Poster, dials *atomic.Int64) {
	t.Helper()
	p, dials = poster(t, ClientOptions{Rules: rules}), new(atomic.Int64)
	nowhere := func(context.Context, string, string) (net.Conn, error) {
		dials.Add(1)
		return nil, errors.New("a test dials nothing")
	}
	p.Client.transport.DialContext, p.Client.transport.DialTLSContext = nowhere, nowhere
	return p, dials
}

// S1, S2, S3: such a URL is refused when it is written, whatever its scheme, and for the address that it hides.
func TestLiteralsAreRefusedAtWrite(t *testing.T) {
	t.Parallel()
	for row, hosts := range literals() {
		for _, host := range hosts {
			t.Run(row+" "+host, func(t *testing.T) {
				t.Parallel()
				for _, raw := range []string{"https://" + host + "/", "http://" + host + ":8080/latest/meta-data/?x=1"} {
					_, refused := newGuard(strictRules()).url(raw)
					require.NotNil(t, refused, raw)
					require.Equal(t, ClassBlocked, refused.class, raw)
					require.True(t, refused.final, raw)
					refusedWith(t, strictRules(), raw)
				}
			})
		}
	}
}

// S3: digits that only some readers take for digits never get as far as a resolver.
func TestFullWidthDigitsAreRefusedAtWrite(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"https://１２７.０.０.１/", "https://127。0。0。1/", "https://①②⑦.0.0.1/", "https://ⓛocalhost/", "https://١٢٧.0.0.1/",
	} {
		t.Run("S3 "+raw, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, refusedWith(t, Rules{}, raw), "non-ASCII")
		})
	}
}

// S1, S2, S3: a row that names such a URL, however it got there, ends at once and nothing is dialled for it.
func TestForcedLiteralsEndAtOnce(t *testing.T) {
	t.Parallel()
	p, dials := sealed(t, strictRules())
	for row, hosts := range literals() {
		for _, host := range hosts {
			for _, u := range []string{"http://" + host + ":8080/", "https://" + host + "/"} {
				r := post(t, p, u)
				require.Equal(t, ClassBlocked, r.ErrorClass, "%s %s", row, u)
				d := steady().Decide(r, 1, time.Now())
				require.Equal(t, Failed, d.State, "%s %s", row, u)
				require.Equal(t, "blocked_address", d.Reason)
			}
		}
	}
	require.Zero(t, dials.Load())
	post(t, p, "http://public.test/")
	require.EqualValues(t, 1, dials.Load(), "the counter counts")
}

// S1, S2: the dial itself judges the same addresses, should a name lead there.
func TestDialJudgesTheSameAddresses(t *testing.T) {
	t.Parallel()
	for _, row := range []string{"S1", "S2"} {
		for _, host := range literals()[row] {
			t.Run(row+" "+host, func(t *testing.T) {
				t.Parallel()
				text, err := url.PathUnescape(strings.Trim(host, "[]"))
				require.NoError(t, err)
				addr, err := netip.ParseAddr(text)
				require.NoError(t, err)
				got := newGuard(strictRules()).control("tcp", netip.AddrPortFrom(addr, 443).String(), nil)
				require.Equal(t, ClassBlocked, classify(got, progress{phase: phaseConnect}))
				var refused *refusal
				require.ErrorAs(t, got, &refused)
				require.False(t, refused.final, "a name may lead elsewhere tomorrow")
			})
		}
	}
}

func TestDialOpensWhatIsPublicAndNoMore(t *testing.T) {
	t.Parallel()
	g := newGuard(Rules{})
	require.NoError(t, g.control("tcp4", "8.8.8.8:443", nil))
	require.NoError(t, g.control("tcp6", "[2001:4860:4860::8888]:443", nil))
	require.Error(t, g.control("tcp4", "8.8.8.8:25", nil), "S7: ports hold at the dial too")
	require.Error(t, g.control("tcp4", "8.8.8.8:22", nil), "S7")
	require.Error(t, g.control("tcp4", "8.8.8.8:80", nil), "http is closed, and its port with it")
	require.Error(t, g.control("unix", "/run/docker.sock", nil), "S7: a socket is no address")
}
