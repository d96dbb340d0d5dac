package jobs

import (
	"bytes"
	"context"
	"io"
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/rawjson"
)

// product is what a generation has made: the provider's JSON, or a short text, or a file of ours with everything else.
type product struct {
	result []byte
	file   *File
	usage  providers.Usage
	took   time.Duration // the call; zero where it was not one
}

// PurposeGenerationOutput is the purpose of files that single calls have made.
const PurposeGenerationOutput = "generation_output"

// maxText bounds a text that stands in the result itself.
const maxText = 1 << 20

// textResult and fileResult are the results of calls whose answer is no JSON.
type textResult struct {
	ContentType string `json:"content_type"`
	Text        string `json:"text"`
}

type fileResult struct {
	FileID      string `json:"file_id"`
	Filename    string `json:"filename"`
	ContentType string `json:"content_type"`
	Bytes       int64  `json:"bytes"`
}

func (r *Runner) product(ctx context.Context, j Job, answer providers.Answer) (*product, error) {
	media, _, _ := mime.ParseMediaType(answer.ContentType)
	switch {
	case isJSON(answer.ContentType) && rawjson.Valid(answer.Body):
		return &product{result: answer.Body, usage: answer.Usage}, nil
	case isText(media) && len(answer.Body) <= maxText && utf8.Valid(answer.Body) && !bytes.ContainsRune(answer.Body, 0):
		return &product{result: encode(textResult{answer.ContentType, string(answer.Body)}), usage: answer.Usage}, nil
	}
	return r.fileProduct(ctx, j, answer.ContentType, bytes.NewReader(answer.Body), answer.Usage)
}

func isJSON(contentType string) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

func isText(media string) bool {
	return strings.HasPrefix(media, "text/") || media == "application/x-subrip"
}

// fileProduct takes bytes into the file store. Their key carries the attempt; bytes of one that is refused go with the
// orphans.
func (r *Runner) fileProduct(ctx context.Context, j Job, contentType string, content io.Reader, usage providers.Usage) (*product, error) {
	f := File{
		ProjectID: j.ProjectID, ID: NewID("file-"), Filename: j.ID + extension(contentType), Purpose: PurposeGenerationOutput,
		CreatedAt: At(r.Now()),
	}
	f.Blob = "out/" + j.ID + "/" + f.ID
	var err error
	if f.Bytes, err = r.Blobs.Put(ctx, f.Blob, content); err != nil {
		return nil, err
	}
	return &product{result: encode(fileResult{f.ID, f.Filename, contentType, f.Bytes}), file: &f, usage: usage}, nil
}

// extensions are those of the media types that models make; what else there is goes without one.
var extensions = map[string]string{
	"audio/wav": ".wav", "audio/x-wav": ".wav", "audio/mpeg": ".mp3", "audio/aac": ".aac", "audio/flac": ".flac",
	"audio/ogg": ".ogg", "audio/opus": ".opus", "audio/pcm": ".pcm", "video/mp4": ".mp4", "video/webm": ".webm",
	"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif",
}

func extension(contentType string) string {
	media, _, _ := mime.ParseMediaType(contentType)
	return extensions[media]
}
