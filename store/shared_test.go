package store

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ringback/ringback/testservers"
)

// sharedServer is a PostgreSQL server, started by the first test that needs it, with databases for all of them.
type sharedServer struct {
	mu     sync.Mutex
	server *testservers.Postgres
	err    error
	idle   []string // databases that are as madeThere has them
}

var shared sharedServer

func (s *sharedServer) start() (*testservers.Postgres, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil && s.err == nil {
		s.server, s.err = testservers.StartPostgres("log_line_prefix=%d ", "max_connections=300")
	}
	return s.server, s.err
}

func (s *sharedServer) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return nil
	}
	return s.server.Stop()
}

func (s *sharedServer) take() (dsn string, err error) {
	template, err := madeThere()
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.idle); n > 0 {
		dsn, s.idle = s.idle[n-1], s.idle[:n-1]
		return dsn, nil
	}
	return s.server.NewDatabaseFrom(template)
}

// giveBack has others use a database after a test, or drops one that may not be as it was.
func (s *sharedServer) giveBack(dsn string, spoilt bool) error {
	if spoilt {
		return s.server.DropDatabase(dsn)
	}
	if err := empty(dsn); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, dsn)
	return nil
}

// emptying begins all sequences anew and empties those tables that hold something.
const emptying = `DO $$ DECLARE each record; filled boolean; BEGIN
	FOR each IN SELECT sequencename AS name FROM pg_sequences WHERE schemaname = 'public' AND sequencename <> 'goose_db_version_id_seq' LOOP
		PERFORM setval(each.name::regclass, 1, FALSE);
	END LOOP;
	FOR each IN SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'goose_db_version' LOOP
		EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', each.name) INTO filled;
		IF filled THEN EXECUTE format('TRUNCATE %I', each.name); END IF;
	END LOOP;
END $$`

func empty(dsn string) error {
	ctx := context.Background()
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, emptying).ReadAll()
	return err
}
