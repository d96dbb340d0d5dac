package testservers

import (
	"context"
	"fmt"
	"net/url"
	"strings"
)

// NewDatabase creates an empty database and gives its URL (postgres://…, over TCP).
func (p *Postgres) NewDatabase() (dsn string, err error) { return p.create("template0") }

// NewDatabaseFrom creates a copy of a database to which nobody is connected, and gives its URL. So a schema is made once, and
// each test gets its own in some ten milliseconds.
func (p *Postgres) NewDatabaseFrom(templateDSN string) (dsn string, err error) {
	template, err := databaseOf(templateDSN)
	if err != nil {
		return "", err
	}
	return p.create(template)
}

// chooseStrategy finds the quick way to copy a database: its files (20 ms; by log 60 ms), but not where each copy would wait for the
// disk (fsync: 800 ms against 90), nor before PostgreSQL 15, which has no choice.
func (p *Postgres) chooseStrategy() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	const quick = "SELECT current_setting('fsync') = 'off' AND current_setting('server_version_num')::int >= 150000"
	results, err := p.exec(ctx, quick)
	if err != nil {
		return fmt.Errorf("testservers: ask PostgreSQL for its settings: %w", err)
	}
	if string(results[0].Rows[0][0]) == "t" {
		p.strategy = "STRATEGY FILE_COPY"
	}
	return nil
}

func (p *Postgres) create(template string) (dsn string, err error) {
	name := fmt.Sprintf("test_%d", p.databases.Add(1))
	if err := p.statement(fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s %s", quote(name), quote(template), p.strategy)); err != nil {
		return "", err
	}
	return p.dsn(name), nil
}

// DropDatabase removes a database and cuts off who is connected to it.
func (p *Postgres) DropDatabase(dsn string) error {
	name, err := databaseOf(dsn)
	if err != nil {
		return err
	}
	return p.statement(fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", quote(name)))
}

func (p *Postgres) statement(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := p.exec(ctx, sql); err != nil {
		return fmt.Errorf("testservers: %s: %w", sql, err)
	}
	return nil
}

func databaseOf(dsn string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "postgres" || len(u.Path) < 2 {
		return "", fmt.Errorf("testservers: %q names no database: give what NewDatabase gave", dsn)
	}
	return u.Path[1:], nil
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
