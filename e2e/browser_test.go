package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// screenshots is where a run leaves what its pages looked like; git does not know the folder.
const screenshots = "screenshots"

// chromium finds the browser. Where there is none the test fails: scripts/needs installs it, or names it.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	require.Fail(t, "no Chromium found: install the package chromium")
	return ""
}

// browser is a real Chromium with one tab, and all that it complained of.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

// oneBrowser runs at a time: each takes a core for itself.
var oneBrowser sync.Mutex

// startBrowser starts one for this test alone.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	oneBrowser.Lock()
	t.Cleanup(oneBrowser.Unlock) // after the browser's own end
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("hide-scrollbars", true),
	)
	allocated, stopAll := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocated)
	t.Cleanup(func() { stop(); stopAll() })
	b := &browser{t: t, ctx: ctx}
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("about:blank"))) // the browser lives as long as this context
	_, err := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	require.NoError(t, err)
	require.NoError(t, chromedp.Listen(ctx, b.hear))
	return b
}

// hear notes errors of the console, of scripts and of the content security policy.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		b.complaints = append(b.complaints, text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			var words []string
			for _, a := range e.Args {
				words = append(words, string(a.Value)+a.Description)
			}
			b.complaints = append(b.complaints, strings.Join(words, " "))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			b.complaints = append(b.complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

// heard gives what the browser complained of since it was last asked.
func (b *browser) heard() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.complaints
	b.complaints = nil
	return all
}

// do runs actions, each in its time.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, a := range actions {
		seek(b, a)
	}
}

// seek runs an action that gives something.
func seek[T any](b *browser, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	require.NoError(b.t, err)
	return v
}

// look is a size and a theme that pages are seen in.
type look struct {
	name   string
	width  int64
	height int64
	dark   bool
}

var looks = []look{{"1280-light", 1280, 900, false}, {"1280-dark", 1280, 900, true}, {"390-light", 390, 844, false}, {"390-dark", 390, 844, true}}

// seen sets how pages are seen from now on.
func (b *browser) seen(l look) {
	b.t.Helper()
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: l.width, Height: l.height, DeviceScaleFactor: 1, Mobile: l.width < 500})
	require.NoError(b.t, err)
	_, err = chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	require.NoError(b.t, err)
}

// shoot leaves a picture of the whole page.
func (b *browser) shoot(name string) {
	b.t.Helper()
	picture := seek(b, chromedp.FullScreenshot(100))
	require.NoError(b.t, os.MkdirAll(screenshots, 0o755))
	require.NoError(b.t, os.WriteFile(filepath.Join(screenshots, name+".png"), picture, 0o644))
}

// TestLook takes pictures of a server that runs: RINGBACK_LOOK=URL, paths in RINGBACK_LOOK_PATHS.
func TestLook(t *testing.T) {
	url := os.Getenv("RINGBACK_LOOK")
	if url == "" {
		t.Skip("RINGBACK_LOOK is not set")
	}
	b := startBrowser(t)
	for _, l := range looks {
		if only := os.Getenv("RINGBACK_LOOKS"); only != "" && !strings.Contains(only, l.name) {
			continue
		}
		b.seen(l)
		for _, path := range strings.Fields(os.Getenv("RINGBACK_LOOK_PATHS")) {
			name, at, ok := strings.Cut(path, "=")
			if !ok {
				name, at = strings.Trim(strings.ReplaceAll(path, "/", "-"), "-"), path
			}
			b.do(chromedp.Navigate(url+at), chromedp.Sleep(1500*time.Millisecond))
			b.shoot(name + "-" + l.name)
		}
	}
	for _, c := range b.heard() {
		t.Log("browser: " + c)
	}
}
