package pages

import (
	"net/http"
	"net/url"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

func (p *Pages) cancelJob(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if _, err := p.call(r, http.MethodPost, "/v1/jobs/"+url.PathEscape(id)+"/cancel", nil); err != nil {
		return err
	}
	return done(w, r, "/jobs/"+url.PathEscape(id), "cancelled")
}

// retryJob makes a new batch of the lines that failed, with the receiver of the first one. What of that is secret is known to
// nobody, and is asked for in a dialog.
func (p *Pages) retryJob(w http.ResponseWriter, r *http.Request) error {
	ref := p.ref(r)
	s, err := p.findJob(r.Context(), ref)
	if err != nil {
		return err
	}
	body := map[string]any{}
	if len(s.WebhookIDs) > 0 {
		body["webhook_ids"] = s.WebhookIDs
	}
	if len(s.Metadata) > 0 {
		body["metadata"] = s.Metadata
	}
	to := readComposer(r)
	if name := to.empty(); name != "" {
		return jobs.Errorf(jobs.CodeInvalid, "", "The header %s has no value. Go back, and give it one, or remove the header.", name)
	}
	if to.WebhookURL != "" {
		body["webhook"] = to.webhook()
	} else if again := webhookAgain(&s.Job); again != nil {
		body["webhook"] = again
	}
	made, err := p.call(r, http.MethodPost, "/v1/batches/"+url.PathEscape(ref.ID)+"/retry", body)
	if err != nil {
		return err
	}
	return done(w, r, "/jobs/"+url.PathEscape(gjson.GetBytes(made, "id").String()), "submitted")
}

// webhookAgain is a job's own webhook for another one, where nothing of it is secret: what is hidden cannot be sent again.
func webhookAgain(j *jobs.Job) map[string]any {
	shown := gjson.ParseBytes(j.Webhook)
	to, _, secret := receiverAgain(j)
	if to == "" || secret {
		return nil
	}
	again := map[string]any{"url": to}
	for _, key := range []string{"method", "events", "timeout"} {
		if v := shown.Get(key); v.Exists() && v.Type != gjson.Null {
			again[key] = v.Value()
		}
	}
	return again
}

func hidesQuery(raw string) bool {
	u, err := url.Parse(raw)
	return err != nil || u.RawQuery != ""
}

func (p *Pages) moveTuning(verb string) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id := url.PathEscape(r.PathValue("id"))
		if _, err := p.call(r, http.MethodPost, "/v1/fine_tuning/jobs/"+id+"/"+verb, nil); err != nil {
			return err
		}
		return done(w, r, "/jobs/"+id, verb+"d")
	}
}

func (p *Pages) retryDelivery(w http.ResponseWriter, r *http.Request) error {
	id := url.PathEscape(r.PathValue("id"))
	if _, err := p.call(r, http.MethodPost, "/v1/deliveries/"+id+"/retry", nil); err != nil {
		return err
	}
	return done(w, r, back(r, "/deliveries/"+id), "retried")
}

func (p *Pages) cancelDelivery(w http.ResponseWriter, r *http.Request) error {
	id := url.PathEscape(r.PathValue("id"))
	if _, err := p.call(r, http.MethodPost, "/v1/deliveries/"+id+"/cancel", nil); err != nil {
		return err
	}
	return done(w, r, "/deliveries/"+id, "given-up")
}

// retryDeliveries sends again those that are ticked, or all that never arrived.
func (p *Pages) retryDeliveries(w http.ResponseWriter, r *http.Request) error {
	if r.PostFormValue("all") != "" {
		filter := map[string]any{"never_arrived": true}
		if endpoint := r.PostFormValue("endpoint"); endpoint != "" {
			filter["endpoint_id"] = endpoint
		}
		if _, err := p.call(r, http.MethodPost, "/v1/deliveries/retry", filter); err != nil {
			return err
		}
		return done(w, r, back(r, "/deliveries?state=waiting"), "retried")
	}
	if len(r.PostForm["id"]) == 0 {
		return jobs.Errorf(jobs.CodeInvalid, "", "No delivery is ticked. Go back, and tick those that are to be sent again.")
	}
	note := "retried"
	for _, id := range r.PostForm["id"] {
		_, err := p.call(r, http.MethodPost, "/v1/deliveries/"+url.PathEscape(id)+"/retry", nil)
		if _, refused := refusal(err); refused {
			note = "some-retried" // the others are sent all the same
		} else if err != nil {
			return err
		}
	}
	return done(w, r, back(r, "/deliveries"), note)
}

func (p *Pages) deleteFile(w http.ResponseWriter, r *http.Request) error {
	if _, err := p.call(r, http.MethodDelete, "/v1/files/"+url.PathEscape(r.PathValue("id")), nil); err != nil {
		return err
	}
	return done(w, r, "/files", "deleted")
}
