package pages

import (
	"net/http"
	"net/url"
	"strings"
)

// LoginPath is where the browser of somebody goes who is not known yet.
const LoginPath = "/login"

type loginView struct {
	To    string
	Wrong bool
}

func (p *Pages) loginPage(w http.ResponseWriter, r *http.Request) error {
	if p.Login == nil {
		return done(w, r, "/", "")
	}
	return p.bare(w, r, http.StatusOK, loginView{To: within(r.URL.Query().Get("to"))})
}

// login takes an API key and gives a cookie for it. What a wrong one was is said nowhere.
func (p *Pages) login(w http.ResponseWriter, r *http.Request) error {
	to := within(r.PostFormValue("to"))
	if p.Login == nil {
		return done(w, r, to, "")
	}
	cookie, ok := p.Login(strings.TrimSpace(r.PostFormValue("key")))
	if !ok {
		return p.bare(w, r, http.StatusUnauthorized, loginView{To: to, Wrong: true})
	}
	http.SetCookie(w, cookie)
	return done(w, r, to, "")
}

// SessionCookie is the name of the cookie of who has logged in.
const SessionCookie = "ringback_session"

func (p *Pages) logout(w http.ResponseWriter, r *http.Request) error {
	http.SetCookie(w, &http.Cookie{Name: SessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return done(w, r, LoginPath, "")
}

// bare is the login page: it stands alone, and tells nothing of what is behind it.
func (p *Pages) bare(w http.ResponseWriter, r *http.Request, status int, shown loginView) error {
	return p.part(w, r, status, "login.html", "login", view{frame{Theme: themeOf(r)}, shown})
}

// within keeps a way back to pages of ours.
func within(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.Contains(to, `\`) {
		return "/"
	}
	return to
}
