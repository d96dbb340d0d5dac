package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

const (
	shownByDefault = 20
	longestPage    = 100 // of any of the server's lists but that of files
)

// listing is a list of the server's, and how much of it is wanted.
type listing struct {
	path  string
	query url.Values
	after string // ID of the last one seen
	limit int    // 0: all
}

func (l *listing) addFlags(cmd *cobra.Command, what string) {
	l.query = url.Values{}
	cmd.Flags().IntVar(&l.limit, "limit", shownByDefault, "show at most `N`; 0 for all")
	cmd.Flags().StringVar(&l.after, "after", "", "`ID` of "+what+": go on behind it")
}

// filter adds a query parameter where the flag was given.
func (l *listing) filter(name, value string) {
	if value != "" {
		l.query.Set(name, value)
	}
}

// pages reads a list page by page, until there is enough or no more. more says
// that the limit left some out.
func (c *Client) pages(ctx context.Context, l listing, visit func(json.RawMessage) error) (more bool, err error) {
	for seen := 0; ; {
		size := longestPage
		if l.limit > 0 {
			size = min(l.limit-seen, longestPage)
		}
		items, has, err := c.page(ctx, l, size)
		if err != nil {
			return false, err
		}
		for _, item := range items {
			if err := visit(item); err != nil {
				return false, err
			}
		}
		seen += len(items)
		if !has || len(items) == 0 || l.limit > 0 && seen >= l.limit {
			return has, nil
		}
		l.after = gjson.GetBytes(items[len(items)-1], "id").String()
	}
}

// page reads one page of a list.
func (c *Client) page(ctx context.Context, l listing, size int) (items []json.RawMessage, more bool, err error) {
	query := url.Values{"limit": {strconv.Itoa(size)}}
	for name, values := range l.query {
		query[name] = values
	}
	if l.after != "" {
		query.Set("after", l.after)
	}
	var list struct {
		Data    []json.RawMessage `json:"data"`
		HasMore bool              `json:"has_more"`
	}
	err = c.get(ctx, l.path+"?"+query.Encode(), &list)
	return list.Data, list.HasMore, err
}

// list prints a list as a table, or says that it is empty.
func (s *session) list(ctx context.Context, l listing, columns []column, none string) error {
	if l.limit < 0 {
		return usagef("--limit is 0 or more")
	}
	var objects []json.RawMessage
	more, err := s.client.pages(ctx, l, func(object json.RawMessage) error {
		if s.print.json {
			return printLine(s.print.out, object)
		}
		objects = append(objects, object)
		return nil
	})
	if err != nil || s.print.json {
		return err
	}
	if len(objects) == 0 {
		s.note("%s", none)
		return nil
	}
	if err := s.print.table(columns, objects); err != nil {
		return err
	}
	if more {
		last := gjson.GetBytes(objects[len(objects)-1], "id").String()
		s.note("there are more: --after %s, or --limit %d", last, 5*max(l.limit, shownByDefault))
	}
	return nil
}

// act posts a command about an object and prints the answer with show.
func (s *session) act(ctx context.Context, path string, body any, show func(gjson.Result) error) error {
	answer, err := s.client.post(ctx, path, body)
	if err != nil {
		return err
	}
	return s.print.object(answer, show)
}

// told prints one line about an object: what has become of it.
func (s *session) told(format string, paths ...string) func(gjson.Result) error {
	return func(o gjson.Result) error {
		values := make([]any, len(paths))
		for i, path := range paths {
			values[i] = clean(o.Get(path).String())
		}
		return s.print.printf("%s\n", fmt.Sprintf(format, values...))
	}
}
