package e2e

import (
	"fmt"
	"time"
)

func (f *fleet) watchDebug(stop chan struct{}) {
	began := time.Now()
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Second):
		}
		rows, err := f.database().Query(`SELECT right(owner,4) || ' n=' || n || ' done=' || done || ' due=' || (due_at - (extract(epoch from now())*1000)::bigint) || ' wake=' || wake_at - (extract(epoch from now())*1000)::bigint || ' attempt=' || attempt || ' claims=' || claims FROM shards WHERE NOT done AND (due_at>0 or owner<>'') order by n limit 10`)
		if err != nil {
			fmt.Println(err)
			continue
		}
		for rows.Next() {
			var t string
			_ = rows.Scan(&t)
			fmt.Println(time.Since(began).Round(time.Second), t)
		}
		rows.Close()
		rows, err = f.database().Query(`SELECT right(id,4) || ' beat ' || (beat_at - (extract(epoch from now())*1000)::bigint) FROM owners`)
		if err != nil {
			continue
		}
		for rows.Next() {
			var t string
			_ = rows.Scan(&t)
			fmt.Print(t, "  ")
		}
		fmt.Println()
		rows.Close()
	}
}
