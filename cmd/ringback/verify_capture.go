package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// longestCapture bounds a captured request.
const longestCapture = 64 << 20

// capture is a callback as somebody kept it.
type capture struct {
	Header http.Header
	Body   []byte
}

// capture reads the request from the file or from the flags.
func (v *verifyCommand) capture(stdin io.Reader, args []string) (capture, error) {
	if len(args) > 0 {
		text, err := readCapture(args[0], stdin)
		if err != nil {
			return capture{}, err
		}
		return parseCapture(text)
	}
	header, err := headerLines(v.headers)
	if err != nil {
		return capture{}, err
	}
	body, err := readCapture(v.body, stdin)
	return capture{Header: header, Body: body}, err
}

func readCapture(path string, stdin io.Reader) ([]byte, error) {
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		stdin = file
	}
	text, err := io.ReadAll(io.LimitReader(stdin, longestCapture+1))
	if err == nil && len(text) > longestCapture {
		err = fmt.Errorf("the request is longer than %d MiB; callbacks are up to 256 KiB by default", longestCapture>>20)
	}
	return text, err
}

// parseCapture takes a raw HTTP/1 request apart: a request line or none,
// headers, an empty line, the body. Line ends are CRLF or LF.
func parseCapture(text []byte) (capture, error) {
	c, rest, last := capture{Header: http.Header{}}, text, ""
	for number := 1; ; number++ {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		if !ended && (len(rest) > 0 || number == 1) {
			return capture{}, errors.New("the captured request has no empty line between its headers and its body")
		}
		rest = after
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			break
		}
		name, err := c.headerLine(number, string(line), last)
		if err != nil {
			return capture{}, err
		}
		last = name
	}
	c.Body = c.cutBody(rest)
	return c, nil
}

// headerLine takes a line in and returns the name that it belongs to. A line
// that begins with white space goes on with the last one's value: some
// libraries fold long values when they print them (RFC 9112, section 5.2).
func (c *capture) headerLine(number int, line, last string) (name string, err error) {
	name, value, ok := strings.Cut(line, ":")
	switch folded := strings.TrimLeft(line, " \t"); {
	case folded != line && last != "":
		values := c.Header.Values(last)
		values[len(values)-1] = strings.TrimSpace(values[len(values)-1] + " " + folded)
		return last, nil
	case ok && isHeaderName(name):
		c.Header.Add(name, strings.TrimSpace(value))
		return name, nil
	case number == 1 && isRequestLine(line):
	case strings.HasPrefix(line, ":"): // HTTP/2's own, as :method
	default:
		return "", fmt.Errorf("line %d of the captured request is no header ('Name: value'): %.60q", number, line)
	}
	return "", nil
}

// isRequestLine knows one also by its method and path alone.
func isRequestLine(line string) bool {
	return regexp.MustCompile(`^[A-Z]+ \S+( HTTP/[0-9.]+)?$`).MatchString(line)
}

// cutBody leaves out what does not belong to the body: the frames of a chunked
// one, and what follows Content-Length. A body that was made longer, as by
// another layout, is left whole: cut, it would not tell what was done to it.
func (c *capture) cutBody(rest []byte) []byte {
	if strings.EqualFold(c.Header.Get("Transfer-Encoding"), "chunked") {
		if body, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(rest))); err == nil {
			return body
		}
	}
	length, err := strconv.Atoi(c.Header.Get("Content-Length"))
	if err != nil || length < 0 || length >= len(rest) {
		return rest
	}
	if json.Valid(rest[:length]) || len(bytes.TrimSpace(rest[length:])) == 0 {
		return rest[:length]
	}
	return rest
}
