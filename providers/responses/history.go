package responses

import "github.com/tidwall/gjson"

// History are the items that come before those of a response that continues another: the input that the other one had,
// its own history included, and its output. body is the other's request as it was kept, object the response as it ended.
//
// Reasoning without its encrypted content is left out: no upstream keeps it for us, and it cannot be read again. The
// output that stood beside it then loses its IDs, by which an upstream would look for the reasoning that belongs to it.
func History(body, object []byte) [][]byte {
	r := Request{members: members(gjson.ParseBytes(body))}
	items, _ := remembered(r.input())
	output, dropped := remembered(elements(gjson.GetBytes(object, "output")))
	for _, item := range output {
		if dropped {
			item = edit(item, func(key string, _ gjson.Result) (string, bool) { return "", key != "id" })
		}
		items = append(items, item)
	}
	return items
}

func remembered(items [][]byte) (kept [][]byte, dropped bool) {
	for _, item := range items {
		v := gjson.ParseBytes(item)
		if v.Get("type").Str == "reasoning" && v.Get("encrypted_content").Type != gjson.String {
			dropped = true
			continue
		}
		kept = append(kept, item)
	}
	return kept, dropped
}

// Continue is a request's body with what came before: history stands before the request's own items, and
// previous_response_id is gone. All other bytes stay as they are.
func Continue(body []byte, history [][]byte) []byte {
	r := Request{members: members(gjson.ParseBytes(body))}
	all := join(append(history[:len(history):len(history)], r.input()...))
	return edit(body, func(key string, _ gjson.Result) (string, bool) {
		switch key {
		case "input":
			return string(member(key, string(all))), true
		case "previous_response_id":
			return "", false
		}
		return "", true
	})
}

// Native is a kept body as an upstream that speaks responses gets it. It runs in the foreground there and is not stored:
// the life of a response in the background is ours. All other bytes stay as they are.
func Native(body []byte, stream bool) []byte {
	out := edit(body, func(key string, value gjson.Result) (string, bool) {
		switch key {
		case "background", "previous_response_id", "store", "stream":
			return "", false
		case "stream_options":
			return "", stream || !given(value) // they are refused without a stream
		}
		return "", true
	})
	own := []byte(`"store":false`)
	if stream {
		own = append(own, `,"stream":true`...)
	}
	return extend(out, own)
}
