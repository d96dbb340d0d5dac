package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// masked stands wherever a secret would.
const masked = "***"

// Secret is a text that no print, log or dump shows: fmt, slog and the
// effective configuration all write ***.
type Secret string

// Reveal returns the secret itself, for the one place that uses it.
func (s Secret) Reveal() string { return string(s) }

// String is *** for a set secret and "" for an unset one.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString keeps %#v from showing the secret.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText keeps encoders from writing the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue keeps slog from writing the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Address is a URL or DSN that may carry a password; printing it masks that
// alone.
type Address string

var passwordPair = regexp.MustCompile(`(?i)\b(password|_auth_pass)=('[^']*'|[^\s&]+)`)

// Reveal returns the address as it was set.
func (a Address) Reveal() string { return string(a) }

// String is the address with *** for each password in it.
func (a Address) String() string {
	text := string(a)
	if u, err := url.Parse(text); err == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			text = strings.Replace(text, u.User.String()+"@", u.User.Username()+":"+masked+"@", 1)
		}
	}
	return passwordPair.ReplaceAllString(text, "${1}="+masked)
}

// GoString keeps %#v from showing the password.
func (a Address) GoString() string { return strconv.Quote(a.String()) }

// MarshalText keeps encoders from writing the password.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// LogValue keeps slog from writing the password.
func (a Address) LogValue() slog.Value { return slog.StringValue(a.String()) }

// ByteSize is a number of bytes.
type ByteSize int64

var (
	sizePattern = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)$`)
	errSize     = errors.New("is not a size: write bytes, or a number with KB, MB, GB (thousands) or KiB, MiB, GiB (1,024s)")
)

// UnmarshalText reads 1024, 200MB, 1.5GB or 16MiB; units in any case.
func (b *ByteSize) UnmarshalText(text []byte) error {
	match := sizePattern.FindStringSubmatch(string(text))
	if match == nil {
		return errSize
	}
	unit, known := sizeUnit(match[2])
	if !known {
		return errSize
	}
	number, err := strconv.ParseFloat(match[1], 64)
	if err != nil || number*unit >= math.MaxInt64 {
		return errSize
	}
	*b = ByteSize(number * unit)
	return nil
}

// sizeUnit is the number of bytes that a unit stands for.
func sizeUnit(name string) (bytes float64, known bool) {
	switch strings.ToLower(name) {
	case "", "b":
		return 1, true
	case "kb":
		return 1e3, true
	case "mb":
		return 1e6, true
	case "gb":
		return 1e9, true
	case "kib":
		return 1 << 10, true
	case "mib":
		return 1 << 20, true
	case "gib":
		return 1 << 30, true
	}
	return 0, false
}

// String writes the size in the largest unit that divides it.
func (b ByteSize) String() string {
	for _, unit := range []string{"GiB", "GB", "MiB", "MB", "KiB", "KB"} {
		size, _ := sizeUnit(unit)
		if b != 0 && int64(b)%int64(size) == 0 {
			return fmt.Sprintf("%d%s", int64(b)/int64(size), unit)
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalText writes what UnmarshalText reads.
func (b ByteSize) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// PortRange is the ports From to To, both included.
type PortRange struct{ From, To uint16 }

// UnmarshalText reads 443 or 8000-9000.
func (p *PortRange) UnmarshalText(text []byte) error {
	low, high, isRange := strings.Cut(string(text), "-")
	if !isRange {
		high = low
	}
	from, errFrom := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
	to, errTo := strconv.ParseUint(strings.TrimSpace(high), 10, 16)
	if errFrom != nil || errTo != nil || from == 0 {
		return errors.New(`is not a port or a range of ports: write 443 or "8000-9000", from 1 to 65535`)
	}
	if from > to {
		return fmt.Errorf("is a range that ends before it begins: write \"%d-%d\"", to, from)
	}
	*p = PortRange{From: uint16(from), To: uint16(to)}
	return nil
}

// Contains tells whether the port lies in the range.
func (p PortRange) Contains(port uint16) bool { return p.From <= port && port <= p.To }

// String writes 443 or 8000-9000.
func (p PortRange) String() string {
	if p.From == p.To {
		return strconv.Itoa(int(p.From))
	}
	return fmt.Sprintf("%d-%d", p.From, p.To)
}

// MarshalText writes what UnmarshalText reads.
func (p PortRange) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

const day = 24 * time.Hour

// parseDuration reads what time.ParseDuration does, with whole days before it: 30d, 1d12h.
func parseDuration(text string) (time.Duration, error) {
	number, rest, found := strings.Cut(text, "d")
	if !found {
		return time.ParseDuration(text)
	}
	days, err := strconv.ParseUint(number, 10, 16) // a hundred years fit
	if err != nil {
		return 0, err
	}
	whole := time.Duration(days) * day
	if rest == "" {
		return whole, nil
	}
	more, err := time.ParseDuration(rest)
	if err == nil && (more < 0 || more >= day) {
		err = errors.New("is not the rest of a day")
	}
	return whole + more, err
}

// shortDuration writes 5m where time.Duration writes 5m0s, and 30d where it writes 720h0m0s.
func shortDuration(d time.Duration) string {
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
