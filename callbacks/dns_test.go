package callbacks

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// zone answers a question about a name, given without the root's dot: addresses, or an rcode. silent answers nothing.
type zone func(name string) (addrs []string, code dnsmessage.RCode)

const silent = dnsmessage.RCode(0xfff)

// resolver is a real net.Resolver that asks a name server inside the test, over pipes instead of sockets.
func resolver(t *testing.T, z zone) *net.Resolver {
	t.Helper()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		client, server := net.Pipe()
		go serveDNS(server, z)
		context.AfterFunc(ctx, func() { _ = client.Close() })
		return client, nil
	}}
}

// names is a zone with fixed addresses; other names do not exist.
func names(addrs map[string][]string) zone {
	return func(name string) ([]string, dnsmessage.RCode) {
		if a, ok := addrs[name]; ok {
			return a, dnsmessage.RCodeSuccess
		}
		return nil, dnsmessage.RCodeNameError
	}
}

func serveDNS(c net.Conn, z zone) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		answer := answerDNS(query, z)
		if answer == nil {
			continue
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

func answerDNS(query []byte, z zone) []byte {
	var p dnsmessage.Parser
	head, err := p.Start(query)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	addrs, code := z(strings.TrimSuffix(q.Name.String(), "."))
	if code == silent {
		return nil
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: head.ID, Response: true, RCode: code, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	for _, a := range addrs {
		if r, ok := record(q, a); ok {
			m.Answers = append(m.Answers, r)
		}
	}
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// record turns "127.0.0.1" into A, "::1" into AAAA and "cname:other.test" into CNAME.
func record(q dnsmessage.Question, text string) (dnsmessage.Resource, bool) {
	r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET}}
	if target, ok := strings.CutPrefix(text, "cname:"); ok {
		r.Body = &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(target + ".")}
		return r, true
	}
	a := netip.MustParseAddr(text)
	if a.Is4() {
		r.Body = &dnsmessage.AResource{A: a.As4()}
		return r, q.Type == dnsmessage.TypeA
	}
	r.Body = &dnsmessage.AAAAResource{AAAA: a.As16()}
	return r, q.Type == dnsmessage.TypeAAAA
}

func TestFakeResolverAnswers(t *testing.T) {
	t.Parallel()
	r := resolver(t, names(map[string][]string{"two.test": {"127.0.0.1", "::1"}}))
	got, err := r.LookupHost(t.Context(), "two.test")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"127.0.0.1", "::1"}, got)
	_, err = r.LookupHost(t.Context(), "none.test")
	require.Error(t, err)
}
