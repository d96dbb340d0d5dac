package responses

import (
	"fmt"

	"github.com/tidwall/gjson"
)

// chatContent is a message's content. Text alone becomes a string where it stands for one text: all that many upstreams
// take, and from an assistant or the system all that they take.
func chatContent(name, role string, v gjson.Result) (string, *Problem) {
	if !v.IsArray() {
		return orEmpty(v), nil
	}
	if p := each(name, v, haveText); p != nil {
		return "", p
	}
	parts := v.Array()
	if whole, ok := plainText(parts); ok && (len(parts) == 1 || role != "user") {
		return whole, nil
	}
	var found [][]byte
	for i, part := range parts {
		translated, p := chatPart(fmt.Sprintf("%s[%d]", name, i), part)
		if p != nil {
			return "", p
		}
		found = append(found, translated)
	}
	return string(join(found)), nil
}

// textKeys are the members that hold the text of a part that is text, by its type. A refusal is what was said, too.
var textKeys = map[string]string{"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}

// haveText wants the text of a part that is text.
func haveText(name string, part gjson.Result) *Problem {
	if key, ok := textKeys[part.Get("type").Str]; ok {
		return haveTexts(name, part, key)
	}
	return nil
}

// plainText is the text of parts that are nothing else.
func plainText(parts []gjson.Result) (string, bool) {
	var whole text
	for _, part := range parts {
		key, ok := textKeys[part.Get("type").Str]
		if !ok {
			return "", false
		}
		whole.add(part.Get(key))
	}
	return whole.json(), true
}

func chatPart(name string, part gjson.Result) ([]byte, *Problem) {
	switch typ := part.Get("type").Str; typ {
	case "input_text", "output_text", "text":
		return []byte(`{"type":"text","text":` + orEmpty(part.Get("text")) + `}`), nil
	case "input_image":
		return chatImage(name, part)
	case "input_file":
		if given(part.Get("file_url")) {
			return nil, untranslatable(name+".file_url", "A file named by its URL is")
		}
		return []byte(`{"type":"file","file":` + pick(part, "file_id", "file_data", "filename") + `}`), nil
	case "input_audio":
		return []byte(pick(part, "type", "input_audio")), nil
	default:
		return nil, untranslatable(name+".type", fmt.Sprintf("Content of type '%s' is", shorten(typ)))
	}
}

func chatImage(name string, part gjson.Result) ([]byte, *Problem) {
	url := part.Get("image_url")
	if url.Type != gjson.String {
		return nil, untranslatable(name+".file_id", "An image named by a file's ID is")
	}
	image := member("url", url.Raw)
	if detail := part.Get("detail"); given(detail) {
		image = append(append(image, ','), member("detail", detail.Raw)...)
	}
	return []byte(`{"type":"image_url","image_url":{` + string(image) + `}}`), nil
}

// toolOutput is what a function gave: a string, or parts that are text.
func toolOutput(name string, v gjson.Result) (string, *Problem) {
	switch {
	case !given(v):
		return "", missing(name)
	case v.Type == gjson.String:
		return v.Raw, nil
	case !v.IsArray():
		return "", wrongType(name, "a string or an array of parts", v)
	}
	if p := each(name, v, haveText); p != nil {
		return "", p
	}
	whole, ok := plainText(v.Array())
	if !ok {
		return "", untranslatable(name, "A function's output that is not text is")
	}
	return whole, nil
}
