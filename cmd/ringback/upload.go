package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// openUpload finds what a command line calls FILE: a file here, or else the ID
// of one that the server has.
func openUpload(name string) (Upload, error) {
	info, err := os.Stat(name)
	if err != nil {
		if strings.HasPrefix(name, "file-") {
			return Upload{ID: name}, nil
		}
		return Upload{}, err
	}
	if info.IsDir() {
		return Upload{}, usagef("%s is a folder, not a file", name)
	}
	return Upload{
		Name: filepath.Base(name),
		Size: info.Size(),
		Open: func() (io.ReadCloser, error) { return os.Open(name) },
	}, nil
}

// send uploads the file, unless the server has it already, and gives its ID.
func (u Upload) send(ctx context.Context, on *session, purpose string, fields ...[2]string) (string, error) {
	if u.ID != "" {
		return u.ID, nil
	}
	file, err := on.upload(ctx, u, purpose, fields...)
	if err != nil {
		return "", err
	}
	return file.ID, on.print.printf("uploaded   %s  (%s, %s bytes)\n", file.ID, u.Name, grouped(int(file.Bytes)))
}

// upload shows how far it is where somebody looks.
func (s *session) upload(ctx context.Context, u Upload, purpose string, fields ...[2]string) (File, error) {
	screen := newScreen(s.notes)
	if !screen.live {
		return s.client.UploadFile(ctx, u, purpose, fields...)
	}
	sent := &sentBytes{}
	ctx, cancel := context.WithCancel(ctx)
	drawn := make(chan struct{})
	go func() {
		defer close(drawn)
		sent.show(ctx, screen, u)
	}()
	file, err := s.client.UploadFile(ctx, sent.count(u), purpose, fields...)
	cancel()
	<-drawn
	return file, err
}

// sentBytes counts an upload's bytes as they are read.
type sentBytes struct{ n atomic.Int64 }

func (s *sentBytes) count(u Upload) Upload {
	open := u.Open
	u.Open = func() (io.ReadCloser, error) {
		content, err := open()
		if err != nil {
			return nil, err
		}
		s.n.Store(0) // another try begins anew
		return readCloser{io.TeeReader(content, s), content}, nil
	}
	return u
}

func (s *sentBytes) Write(p []byte) (int, error) {
	s.n.Add(int64(len(p)))
	return len(p), nil
}

// uploadShownAfter keeps short uploads from flashing up.
const uploadShownAfter = 300 * time.Millisecond

// show draws the upload's bar until ctx ends, and takes it away then.
func (s *sentBytes) show(ctx context.Context, screen *screen, u Upload) {
	defer screen.clear()
	began := time.Now()
	if !interruptible(ctx, uploadShownAfter) {
		return
	}
	tick := time.NewTicker(redrawStepEvery)
	defer tick.Stop()
	for {
		screen.draw([]string{uploadLine(u, s.n.Load(), time.Since(began), screen.width()-1)})
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func uploadLine(u Upload, sent int64, took time.Duration, width int) string {
	numbers := "  " + megabytes(sent) + " of " + megabytes(u.Size)
	if seconds := took.Seconds(); seconds > 1 {
		numbers += "  " + megabytes(int64(float64(sent)/seconds)) + "/s"
	}
	name := fitMiddle(clean(u.Name), max(width/3, 8))
	return fit("uploading  "+name+"  "+drawBar(int(sent>>10), int(u.Size>>10), width-13-cells(name)-len(numbers))+numbers, width)
}
