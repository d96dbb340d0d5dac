package main

// What a process does. Several share the facts in PostgreSQL, the bytes in one file store, and the ring of one Redis.
const (
	roleAll    = "all"
	roleAPI    = "api"    // takes requests
	roleWorker = "worker" // calls providers, sends callbacks, cleans up
)

func (c ServerConfig) takesRequests() bool { return c.Roles != roleWorker }
func (c ServerConfig) works() bool         { return c.Roles != roleAPI }

func (l *configLoader) checkRoles(cfg Config) {
	switch cfg.Server.Roles {
	case roleAll:
		return
	case roleAPI, roleWorker:
	default:
		l.problem("server.roles", "%q is no role: write all, api or worker", cfg.Server.Roles)
		return
	}
	const alone = "the role %s needs other processes beside it, and this to share with them: set %s, or serve all roles"
	l.require(cfg.Store.DSN != "", "store.dsn", alone, cfg.Server.Roles, "postgres://…")
	l.require(cfg.Queue.Redis != "", "queue.redis", alone, cfg.Server.Roles, "redis://…")
	l.require(cfg.Server.Roles == roleAPI || cfg.Server.PublicURL != "", "server.public_url",
		"is empty: a worker writes links into callbacks, and does not know where clients reach the API")
	if cfg.Files.URL == "" {
		l.warn("files.url", "is empty: data_dir/files must be one folder for all processes, on a file system that they share")
	}
	if cfg.Simulator.Enabled {
		l.warn("simulator.enabled", "is true: each process has a simulator of its own; for one that all share run `ringback simulate` and name it under providers")
	}
}
