package span

import "strings"

// What of a tracestate is kept (W3C Trace Context, section 3.3). Whatever is longer than 512 bytes is shortened as the
// standard says: long entries first, then the last ones.
const (
	maxStateEntries = 32
	maxState        = 512
	longStateEntry  = 128
	maxStateRead    = 8 << 10
)

// readState gives a tracestate as one line; empty for one that is malformed.
func readState(lines []string) string {
	text := strings.Join(lines, ",")
	if text == "" || len(text) > maxStateRead {
		return ""
	}
	var entries []string
	seen := map[string]bool{}
	for entry := range strings.SplitSeq(text, ",") {
		entry = strings.Trim(entry, " \t")
		if entry == "" {
			continue
		}
		key, value, found := strings.Cut(entry, "=")
		if !found || !isStateKey(key) || !isStateValue(value) || seen[key] || len(entries) == maxStateEntries {
			return ""
		}
		seen[key] = true
		entries = append(entries, entry)
	}
	return fitted(entries)
}

// fitted shortens a list of entries to what is kept.
func fitted(entries []string) string {
	all := strings.Join(entries, ",")
	for i := len(entries) - 1; i >= 0 && len(all) > maxState; i-- {
		if len(entries[i]) > longStateEntry {
			entries = append(entries[:i:i], entries[i+1:]...)
			all = strings.Join(entries, ",")
		}
	}
	for len(all) > maxState {
		entries = entries[:len(entries)-1]
		all = strings.Join(entries, ",")
	}
	return all
}

// isStateKey knows both forms: a name, and tenant@system.
func isStateKey(key string) bool {
	const rest = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
	tenant, system, two := strings.Cut(key, "@")
	if two && (system == "" || len(system) > 14 || len(tenant) > 241 || strings.Trim(system, rest) != "") {
		return false
	}
	begins := tenant != "" && (tenant[0] >= 'a' && tenant[0] <= 'z' || tenant[0] >= '0' && tenant[0] <= '9')
	return begins && len(key) <= 256 && strings.Trim(tenant, rest) == ""
}

// isStateValue knows that a value is printable ASCII without a comma or an equals sign.
func isStateValue(value string) bool {
	odd := func(c rune) bool { return c < ' ' || c > '~' || c == ',' || c == '=' }
	return value != "" && len(value) <= 256 && !strings.ContainsFunc(value, odd)
}
