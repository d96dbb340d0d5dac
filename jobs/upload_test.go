package jobs

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const uploadBegun = Time(1_750_000_000_000)

func pendingUpload() Upload {
	return Upload{
		ProjectID: "default", ID: "upload_1", Status: UploadPending, Filename: "a.bin", Purpose: "user_data", Bytes: 10,
		CreatedAt: uploadBegun, ExpiresAt: uploadBegun.Add(UploadTTL),
	}
}

func (u Upload) in(s UploadStatus) Upload {
	u.Status = s
	return u
}

// TestAnEndedUploadTakesNothing: each of its moves is refused with the status, and changes nothing.
func TestAnEndedUploadTakesNothing(t *testing.T) {
	t.Parallel()
	moves := map[string]func(u *Upload, now Time) (UploadEffects, error){
		"add": func(u *Upload, now Time) (UploadEffects, error) { return u.add(&UploadPart{Bytes: 1}, 5, now) },
		"complete": func(u *Upload, now Time) (UploadEffects, error) {
			return u.complete([]string{"b"}, &File{ID: "file-2"}, now)
		},
		"cancel": func(u *Upload, now Time) (UploadEffects, error) { return u.cancel(now) },
	}
	for name, move := range moves {
		for _, row := range []struct {
			was UploadStatus
			now Time
			say UploadStatus // empty: it is not refused
		}{
			{UploadPending, uploadBegun, ""},
			{UploadPending, uploadBegun.Add(UploadTTL) - 1, ""},
			{UploadPending, uploadBegun.Add(UploadTTL), UploadExpired},
			{UploadCompleted, uploadBegun, UploadCompleted},
			{UploadCancelled, uploadBegun, UploadCancelled},
			{UploadExpired, uploadBegun, UploadExpired},
		} {
			t.Run(fmt.Sprintf("%s of %s at %d", name, row.was, row.now-uploadBegun), func(t *testing.T) {
				t.Parallel()
				u := pendingUpload().in(row.was)
				u.PartIDs, u.FileID = Texts{"a"}, "file-1"
				effects, err := move(&u, row.now)
				if row.say == "" {
					require.NoError(t, err)
					return
				}
				require.True(t, IsCode(err, CodeInvalid), "%v", err)
				require.ErrorContains(t, err, "'"+string(row.say)+"'")
				require.Equal(t, UploadEffects{}, effects)
				require.Equal(t, "file-1", u.FileID)
				require.Zero(t, u.Parts)
			})
		}
	}
}

func TestAnUploadIsCompletedOnce(t *testing.T) {
	t.Parallel()
	u, f := pendingUpload(), &File{ID: "file-1"}
	effects, err := u.complete([]string{"a", "b"}, f, uploadBegun+1)
	require.NoError(t, err)
	require.Same(t, f, effects.File)
	require.Equal(t, UploadCompleted, u.Status)
	require.Equal(t, uploadBegun+1, u.EndedAt)

	effects, err = u.complete([]string{"a", "b"}, &File{ID: "file-2"}, uploadBegun.Add(2*UploadTTL))
	require.NoError(t, err, "the same parts: the same answer, whenever")
	require.Nil(t, effects.File)
	require.Equal(t, "file-1", u.FileID)

	_, err = u.complete([]string{"b", "a"}, &File{ID: "file-2"}, uploadBegun+2)
	require.ErrorContains(t, err, "'completed'", "in another order they are another file")

	fresh := pendingUpload()
	_, err = fresh.complete([]string{"a"}, nil, uploadBegun)
	require.ErrorIs(t, err, ErrStale)
}

// TestPartsAreBounded: by the declared bytes and one part more, and in number.
func TestPartsAreBounded(t *testing.T) {
	t.Parallel()
	u := pendingUpload()
	for i, n := range []int64{5, 5, 5} {
		_, err := u.add(&UploadPart{Bytes: n}, 5, uploadBegun)
		require.NoError(t, err, "part %d", i)
	}
	_, err := u.add(&UploadPart{Bytes: 1}, 5, uploadBegun)
	require.ErrorContains(t, err, "16 bytes in parts, but it was created for 10 bytes")
	require.EqualValues(t, 15, u.Received)
	require.EqualValues(t, 3, u.Parts)

	u.Parts, u.Received = maxParts, 0
	_, err = u.add(&UploadPart{Bytes: 1}, 5, uploadBegun)
	require.ErrorContains(t, err, "10000 parts")
}

func TestPartsArePickedInTheClientsOrder(t *testing.T) {
	t.Parallel()
	u := pendingUpload()
	all := []UploadPart{{ID: "a", Bytes: 3}, {ID: "b", Bytes: 7}, {ID: "c", Bytes: 7}}
	for _, row := range []struct {
		name, ids, err string
	}{
		{"in order", "a b", ""},
		{"the other way", "b a", ""},
		{"of another upload", "a x", "has no part 'x'"},
		{"twice", "a b a", "'a' stands twice"},
		{"none", "", "have 0 bytes together, but the upload was created for 10 bytes"},
		{"too few", "a", "have 3 bytes together, but the upload was created for 10 bytes"},
		{"too many", "a b c", "have 17 bytes together, but the upload was created for 10 bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			picked, err := u.pick(all, strings.Fields(row.ids))
			if row.err != "" {
				require.ErrorContains(t, err, row.err)
				return
			}
			require.NoError(t, err)
			var got []string
			for _, p := range picked {
				got = append(got, p.ID)
			}
			require.Equal(t, row.ids, strings.Join(got, " "))
		})
	}
}

func TestUploadsAreJudgedByWhatTheyDeclare(t *testing.T) {
	t.Parallel()
	limits := Limits{UploadBytes: 1000, BatchBytes: 100, FileBytes: 50}
	good := NewUpload{Filename: "a.jsonl", Purpose: "user_data", MimeType: "text/plain", Bytes: 1000}
	for _, row := range []struct {
		name   string
		change func(*NewUpload)
		param  string
		code   Code
	}{
		{"as large as may be", func(*NewUpload) {}, "", ""},
		{"no filename", func(n *NewUpload) { n.Filename = "" }, "filename", CodeMissing},
		{"no purpose", func(n *NewUpload) { n.Purpose = "" }, "purpose", CodeMissing},
		{"no mime type", func(n *NewUpload) { n.MimeType = "" }, "mime_type", CodeMissing},
		{"unknown purpose", func(n *NewUpload) { n.Purpose = "batch_output" }, "purpose", CodeValue},
		{"no bytes", func(n *NewUpload) { n.Bytes = 0 }, "bytes", CodeValue},
		{"one too many", func(n *NewUpload) { n.Bytes++ }, "bytes", codeAbove},
		{"a batch", func(n *NewUpload) { n.Purpose, n.Bytes = "batch", 100 }, "", ""},
		{"a batch over its limit", func(n *NewUpload) { n.Purpose, n.Bytes = "batch", 101 }, "bytes", codeAbove},
		{"a batch in another form", func(n *NewUpload) { n.Purpose, n.Bytes, n.Filename = "batch", 100, "a.csv" }, "filename", CodeValue},
		{"a fine-tuning", func(n *NewUpload) { n.Purpose, n.Filename = "fine-tune", "A.JSONL" }, "", ""},
		{"a fine-tuning in another form", func(n *NewUpload) { n.Purpose, n.Filename = "fine-tune", "jsonl" }, "filename", CodeValue},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			n := good
			row.change(&n)
			err := checkUpload(n, limits)
			if row.code == "" {
				require.NoError(t, err)
				return
			}
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, row.param, e.Param)
			require.Equal(t, row.code, e.Code)
		})
	}
}

func TestUploadsAsTheAPIShowsThem(t *testing.T) {
	t.Parallel()
	s := UploadSnapshot{Upload: pendingUpload()}
	require.JSONEq(t, `{"id":"upload_1","object":"upload","bytes":10,"created_at":1750000000,"filename":"a.bin",
		"purpose":"user_data","status":"pending","expires_at":1750003600,"file":null}`, string(s.Object()))
	s.File = &File{ID: "file-1", Bytes: 10, CreatedAt: uploadBegun.Add(time.Minute)}
	var shown struct{ File json.RawMessage }
	require.NoError(t, json.Unmarshal(s.Object(), &shown))
	require.JSONEq(t, string(s.File.Object()), string(shown.File))
	p := UploadPart{ID: "part_1", UploadID: "upload_1", CreatedAt: uploadBegun}
	require.JSONEq(t, `{"id":"part_1","object":"upload.part","created_at":1750000000,"upload_id":"upload_1"}`, string(p.Object()))
}
