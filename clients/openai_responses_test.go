package clients

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/webhooks"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// background asks a model in the background.
func background(model, prompt string) responses.ResponseNewParams {
	return responses.ResponseNewParams{
		Model: model, Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(prompt)},
		Background: openai.Bool(true), Temperature: openai.Float(0), Instructions: openai.String("Be short."),
		Metadata: map[string]string{"ticket": "42"},
	}
}

// answered polls a response until nothing can follow.
func answered(t *testing.T, client openai.Client, id string) *responses.Response {
	t.Helper()
	for deadline := time.Now().Add(waitTime); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		r, err := client.Responses.Get(t.Context(), id, responses.ResponseGetParams{})
		require.NoError(t, err)
		if r.Status != responses.ResponseStatusQueued && r.Status != responses.ResponseStatusInProgress {
			return r
		}
	}
	require.Fail(t, "the response has not ended", "within %s", waitTime)
	return nil
}

// streaming is the client without the check that reads whole answers: a stream's events are checked one by one.
func streaming(t *testing.T, url string) openai.Client {
	t.Helper()
	return openai.NewClient(option.WithBaseURL(url+"/v1"), option.WithAPIKey("any"), option.WithMaxRetries(0))
}

type stream = *ssestream.Stream[responses.ResponseStreamEventUnion]

// rest reads a stream to its end; each event has the next number and follows the document.
func rest(t *testing.T, s stream, first int64) (events []responses.ResponseStreamEventUnion) {
	t.Helper()
	defer s.Close()
	for s.Next() {
		e := s.Current()
		require.Equal(t, first+int64(len(events)), e.SequenceNumber, "%s", e.RawJSON())
		if ring.document != nil {
			require.NoError(t, ring.document.component("ResponseStreamEvent", []byte(e.RawJSON())), "%s", e.RawJSON())
		}
		events = append(events, e)
	}
	require.NoError(t, s.Err())
	return events
}

func eventTypes(events []responses.ResponseStreamEventUnion) (types []string) {
	for _, e := range events {
		types = append(types, e.Type)
	}
	return types
}

// said is the text that a stream's deltas make.
func said(events []responses.ResponseStreamEventUnion) (text string) {
	for _, e := range events {
		if e.Type == "response.output_text.delta" {
			text += e.Delta
		}
	}
	return text
}

func TestOpenAIPollsAResponse(t *testing.T) {
	t.Parallel()
	client := signing(t)
	created, err := client.Responses.New(t.Context(), background("sim-small", quick), toReceiver(t))
	require.NoError(t, err)
	require.Equal(t, responses.ResponseStatusQueued, created.Status)
	require.True(t, created.Background)

	r := answered(t, client, created.ID)
	require.Equal(t, responses.ResponseStatusCompleted, r.Status)
	require.NotEmpty(t, r.OutputText())
	require.Equal(t, created.ID, r.ID)
	require.Equal(t, created.CreatedAt, r.CreatedAt)
	require.Equal(t, "Be short.", r.Instructions.OfString)
	require.Equal(t, "42", r.Metadata["ticket"])
	require.Zero(t, r.Temperature)
	require.Positive(t, r.Usage.TotalTokens)

	call := ring.receiver.await(t)
	event, err := client.Webhooks.Unwrap(call.body, call.header)
	require.NoError(t, err)
	typed, ok := event.AsAny().(webhooks.ResponseCompletedWebhookEvent)
	require.True(t, ok, "%s", call.body)
	require.Equal(t, r.ID, typed.Data.ID)
	requireByDocument(t, "response.completed", call.body)
	require.Equal(t, r.RawJSON(), gjson.GetBytes(call.body, "data.object").Raw, "polling and the callback show the same")
}

func TestOpenAIListsInputItems(t *testing.T) {
	t.Parallel()
	client := official(t)
	params := background("sim-small", "")
	params.Input = responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{
		responses.ResponseInputItemParamOfMessage("one", responses.EasyInputMessageRoleUser),
		responses.ResponseInputItemParamOfMessage("two", responses.EasyInputMessageRoleDeveloper),
		responses.ResponseInputItemParamOfFunctionCall(`{"x":1}`, "call_1", "f"),
		responses.ResponseInputItemParamOfFunctionCallOutput("3"),
	}}
	created, err := client.Responses.New(t.Context(), params)
	require.NoError(t, err)

	var types []string
	pager := client.Responses.InputItems.ListAutoPaging(t.Context(), created.ID, responses.InputItemListParams{Limit: openai.Int(3)})
	for pager.Next() {
		require.NotEmpty(t, pager.Current().ID)
		types = append(types, pager.Current().Type)
	}
	require.NoError(t, pager.Err())
	require.Equal(t, []string{"function_call_output", "function_call", "message", "message"}, types, "the last first")

	page, err := client.Responses.InputItems.List(t.Context(), created.ID, responses.InputItemListParams{
		Limit: openai.Int(1), Order: responses.InputItemListParamsOrderAsc,
	})
	require.NoError(t, err)
	require.Len(t, page.Data, 1)
	require.Equal(t, "one", page.Data[0].AsMessage().Content[0].Text)
	require.True(t, page.HasMore)
}

func TestOpenAICancelsAResponse(t *testing.T) {
	t.Parallel()
	client := signing(t)
	created, err := client.Responses.New(t.Context(), background("sim-small", hang), toReceiver(t))
	require.NoError(t, err)
	for range 2 { // idempotent
		cancelled, err := client.Responses.Cancel(t.Context(), created.ID)
		require.NoError(t, err)
		require.Equal(t, responses.ResponseStatusCancelled, cancelled.Status)
	}
	call := ring.receiver.await(t)
	_, err = client.Webhooks.Unwrap(call.body, call.header)
	require.NoError(t, err)
	requireByDocument(t, "response.cancelled", call.body)

	done, err := client.Responses.New(t.Context(), background("sim-small", quick))
	require.NoError(t, err)
	r := answered(t, client, done.ID)
	same, err := client.Responses.Cancel(t.Context(), done.ID)
	require.NoError(t, err)
	require.Equal(t, r.RawJSON(), same.RawJSON(), "one that has ended is answered as it is")
}

func TestOpenAIDeletesAResponse(t *testing.T) {
	t.Parallel()
	client := official(t)
	for _, prompt := range []string{quick, hang} {
		created, err := client.Responses.New(t.Context(), background("sim-small", prompt))
		require.NoError(t, err)
		if prompt == quick {
			answered(t, client, created.ID)
		}
		require.NoError(t, client.Responses.Delete(t.Context(), created.ID))
		_, err = client.Responses.Get(t.Context(), created.ID, responses.ResponseGetParams{})
		requireRefusal(t, err, http.StatusNotFound, "", "Response with id '"+created.ID+"' not found.")
		require.Error(t, client.Responses.Delete(t.Context(), created.ID))

		params := background("sim-small", "more")
		params.PreviousResponseID = openai.String(created.ID)
		_, err = client.Responses.New(t.Context(), params)
		requireRefusal(t, err, http.StatusBadRequest, "previous_response_not_found", "Previous response with id '"+created.ID+"' not found.")
	}
}

// requireRefusal wants an error that OpenAI would have answered.
func requireRefusal(t *testing.T, err error, status int, code, message string) {
	t.Helper()
	var refused *openai.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, status, refused.StatusCode)
	require.Equal(t, code, refused.Code)
	require.Equal(t, message, refused.Message)
}

func TestOpenAIFailedResponseFollowsTheDocument(t *testing.T) {
	t.Parallel()
	client := official(t)
	created, err := client.Responses.New(t.Context(), background("sim-small", refuse))
	require.NoError(t, err)
	r := answered(t, client, created.ID)
	require.Equal(t, responses.ResponseStatusFailed, r.Status)
	require.Equal(t, responses.ResponseErrorCodeInvalidPrompt, r.Error.Code)
	require.NotEmpty(t, r.Error.Message)

	params := background("sim-small", quick)
	params.MaxOutputTokens = openai.Int(16)
	created, err = client.Responses.New(t.Context(), params)
	require.NoError(t, err)
	r = answered(t, client, created.ID)
	require.Equal(t, responses.ResponseStatusIncomplete, r.Status, "%s", r.RawJSON())
	require.Equal(t, "max_output_tokens", r.IncompleteDetails.Reason)
}

func TestOpenAIWantsTheBackground(t *testing.T) {
	t.Parallel()
	client := official(t)
	params := background("sim-small", quick)
	params.Background = openai.Bool(false)
	_, err := client.Responses.New(t.Context(), params)
	var refused *openai.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusBadRequest, refused.StatusCode)
	require.Equal(t, "background", refused.Param)

	created, err := client.Responses.New(t.Context(), background("sim-small", quick))
	require.NoError(t, err)
	s := client.Responses.GetStreaming(t.Context(), created.ID, responses.ResponseGetParams{})
	require.False(t, s.Next())
	require.ErrorAs(t, s.Err(), &refused, "it was not created with stream: true")
	require.Equal(t, http.StatusBadRequest, refused.StatusCode)
}

// inOrder are the events of a short answer, but for its deltas.
var inOrder = []string{
	"response.created", "response.queued", "response.in_progress", "response.output_item.added", "response.content_part.added",
	"response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed",
}

func TestOpenAIStreamsAndResumes(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"an upstream that speaks responses": ring.url, "one that speaks chat": chatOnly(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := streaming(t, url)
			events := rest(t, client.Responses.NewStreaming(t.Context(), background("sim-small", quick)), 0)
			others := slices.DeleteFunc(eventTypes(events), func(typ string) bool { return typ == "response.output_text.delta" })
			require.Equal(t, inOrder, others)
			last := events[len(events)-1].Response
			require.Equal(t, last.OutputText(), said(events))

			polled, err := client.Responses.Get(t.Context(), last.ID, responses.ResponseGetParams{})
			require.NoError(t, err)
			require.Equal(t, polled.RawJSON(), last.RawJSON(), "the last event shows what polling shows")
			for _, after := range []int64{0, 1, 2, 5, int64(len(events)) - 1} {
				params := responses.ResponseGetParams{StartingAfter: openai.Int(after)}
				again := rest(t, client.Responses.GetStreaming(t.Context(), last.ID, params), after+1)
				require.Len(t, again, len(events)-int(after)-1)
				for i, e := range again {
					require.Equal(t, events[int(after)+1+i].RawJSON(), e.RawJSON(), "the same, byte for byte")
				}
			}
			require.Len(t, rest(t, client.Responses.GetStreaming(t.Context(), last.ID, responses.ResponseGetParams{}), 0), len(events))
		})
	}
}

func TestOpenAIContinuesAResponse(t *testing.T) {
	t.Parallel()
	client := streaming(t, chatOnly(t))
	first := rest(t, client.Responses.NewStreaming(t.Context(), background("sim-small", "one")), 0)
	params := background("sim-small", "two")
	params.PreviousResponseID = openai.String(first[0].Response.ID)
	second := rest(t, client.Responses.NewStreaming(t.Context(), params), 0)
	require.Equal(t, "system:Be short. user:one assistant:"+said(first)+" user:two", said(second), "it was told what came before")
	require.Equal(t, first[0].Response.ID, second[0].Response.PreviousResponseID)
}

func TestOpenAIWatchesAResponseThatIsCancelled(t *testing.T) {
	t.Parallel()
	client := streaming(t, ring.url)
	s := client.Responses.NewStreaming(t.Context(), background("sim-small", hang))
	require.True(t, s.Next())
	id := s.Current().Response.ID
	_, err := client.Responses.Cancel(t.Context(), id)
	require.NoError(t, err)
	for _, typ := range eventTypes(rest(t, s, 1)) {
		require.Contains(t, inOrder[:3], typ, "a cancelled one's stream just ends")
	}
}

// chatOnly is a server of the test's own whose one provider speaks chat completions only: it says what it was told.
func chatOnly(t *testing.T) string {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(sayAgain))
	t.Cleanup(upstream.Close)
	own, err := startServer(ring.binary, t.TempDir(), ring.receiver.port(), "simulator.enabled=false",
		fmt.Sprintf(`providers=[{name: chat, type: openai, base_url: "%s/v1", models: ["*"], responses: chat}]`, upstream.URL))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, own.stop()) })
	return own.url
}

func sayAgain(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != chatPath {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var heard []string
	for _, m := range gjson.GetBytes(body, "messages").Array() {
		heard = append(heard, m.Get("role").Str+":"+m.Get("content").Str)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for _, word := range strings.SplitAfter(strings.Join(heard, " "), " ") {
		fmt.Fprintf(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%q},\"finish_reason\":null}]}\n\n", word)
	}
	io.WriteString(w, `data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\n"+
		`data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`+"\n\ndata: [DONE]\n\n")
}

// TestOpenAIStreamBreaksOffAndGoesOn reads some events, goes away, and comes back for the rest.
func TestOpenAIStreamBreaksOffAndGoesOn(t *testing.T) {
	t.Parallel()
	client := streaming(t, ring.url)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	s := client.Responses.NewStreaming(ctx, background("sim-small", quick))
	var seen []responses.ResponseStreamEventUnion
	for range 5 {
		require.True(t, s.Next(), "%v", s.Err())
		seen = append(seen, s.Current())
	}
	leave()
	after := seen[len(seen)-1].SequenceNumber
	more := rest(t, client.Responses.GetStreaming(t.Context(), seen[0].Response.ID, responses.ResponseGetParams{StartingAfter: openai.Int(after)}), after+1)
	require.Equal(t, "response.completed", more[len(more)-1].Type)
	require.Equal(t, more[len(more)-1].Response.OutputText(), said(append(seen, more...)))
}
