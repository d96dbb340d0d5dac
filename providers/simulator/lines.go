package simulator

import (
	"bufio"
	"bytes"
	"io"
)

// eachLine gives the lines that are not blank, with their numbers from 1 on, and
// ends with the first error. A line may be as long as a request's body, else the
// error is bufio.ErrTooLong. The line is valid until take returns.
func eachLine(r io.Reader, take func(number int, line []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxBody)
	for number := 1; lines.Scan(); number++ {
		if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 {
			if err := take(number, line); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}
