package main

import (
	"log/slog"
	"net/netip"
	"time"
)

// Config is everything that an operator can set; config.yaml describes each
// setting and holds its default. The parts of the program never see it: each
// gets its own Options, made from the section that concerns it.
type Config struct {
	Server    ServerConfig     `yaml:"server"`
	DataDir   string           `yaml:"data_dir"`
	Store     StoreConfig      `yaml:"store"`
	Queue     QueueConfig      `yaml:"queue"`
	Files     FilesConfig      `yaml:"files"`
	Auth      AuthConfig       `yaml:"auth"`
	Secrets   SecretsConfig    `yaml:"secrets"`
	Limits    LimitsConfig     `yaml:"limits"`
	Batches   BatchesConfig    `yaml:"batches"`
	Jobs      JobsConfig       `yaml:"jobs"`
	Callbacks CallbacksConfig  `yaml:"callbacks"`
	Retention RetentionConfig  `yaml:"retention"`
	Providers []ProviderConfig `yaml:"providers"`
	Simulator SimulatorConfig  `yaml:"simulator"`
	Telemetry TelemetryConfig  `yaml:"telemetry"`
	Log       LogConfig        `yaml:"log"`
}

// ServerConfig says where the HTTP server stands and how it stops.
type ServerConfig struct {
	Listen        string        `yaml:"listen"`
	PublicURL     string        `yaml:"public_url"` // "" = made from the address listened on
	ShutdownGrace time.Duration `yaml:"shutdown_grace"`
	Roles         string        `yaml:"roles"` // all, api or worker
}

// StoreConfig names the database. DSN may carry a password.
type StoreConfig struct {
	DSN         Address `yaml:"dsn"` // "" = SQLite in DataDir
	Connections int     `yaml:"connections"`
}

// QueueConfig names the Redis. The URL may carry a password.
type QueueConfig struct {
	Redis Address `yaml:"redis"` // "" = embedded
}

// FilesConfig names the file store.
type FilesConfig struct {
	URL       Address `yaml:"url"`        // "" = a folder in DataDir
	AccessKey Secret  `yaml:"access_key"` // "" = the environment's, or the machine's role
	SecretKey Secret  `yaml:"secret_key"`
}

// AuthConfig holds the keys that clients present.
type AuthConfig struct {
	Keys []Secret `yaml:"keys"` // empty = authentication is off
}

// SecretsConfig holds the key that encrypts secrets at rest.
type SecretsConfig struct {
	Key Secret `yaml:"key"` // base64 of 32 bytes; "" = DataDir/master.key
}

// LimitsConfig bounds what is taken in and given out.
type LimitsConfig struct {
	BatchLines      int      `yaml:"batch_lines"`
	BatchBytes      ByteSize `yaml:"batch_bytes"`
	FileBytes       ByteSize `yaml:"file_bytes"`
	UploadBytes     ByteSize `yaml:"upload_bytes"`
	UploadPartBytes ByteSize `yaml:"upload_part_bytes"`
	AnswerBytes     ByteSize `yaml:"answer_bytes"`
	BodyBytes       ByteSize `yaml:"body_bytes"`
	EventBytes      ByteSize `yaml:"event_bytes"`
}

// BatchesConfig sets how batches are cut up and worked on.
type BatchesConfig struct {
	ShardLines int `yaml:"shard_lines"`
	Workers    int `yaml:"workers"`
}

// JobsConfig sets how generations are worked on.
type JobsConfig struct {
	Workers int `yaml:"workers"`
}

// CallbacksConfig says where callbacks may go, when, and how they are signed.
type CallbacksConfig struct {
	AllowHTTP           bool            `yaml:"allow_http"`
	AllowCIDRs          []netip.Prefix  `yaml:"allow_cidrs"`
	AllowPorts          []PortRange     `yaml:"allow_ports"`
	Schedule            []time.Duration `yaml:"schedule"`
	Timeout             time.Duration   `yaml:"timeout"`
	BodySignatureHeader string          `yaml:"body_signature_header"`
	SigningSecret       Secret          `yaml:"signing_secret"` // "" = made and kept in the database
	CAFile              string          `yaml:"ca_file"`
	Proxy               Secret          `yaml:"proxy"` // it may hold a password; "" = none
	Workers             int             `yaml:"workers"`
	PerReceiver         int             `yaml:"per_receiver"`
}

// RetentionConfig says how long what is over and done is kept; 0 is for ever.
type RetentionConfig struct {
	Files    time.Duration `yaml:"files"`
	Results  time.Duration `yaml:"results"`
	Events   time.Duration `yaml:"events"`
	Attempts time.Duration `yaml:"attempts"`
	Jobs     time.Duration `yaml:"jobs"`
}

// ProviderConfig is one upstream. Concurrency and the limits a minute hold
// for each model, over all processes of one Redis; zero limits mean none.
type ProviderConfig struct {
	Name              string            `yaml:"name"`
	Type              string            `yaml:"type"`
	BaseURL           string            `yaml:"base_url"`
	APIKey            Secret            `yaml:"api_key"`
	Headers           map[string]Secret `yaml:"headers"`
	Models            []string          `yaml:"models"`
	Concurrency       int               `yaml:"concurrency"`
	PerProcess        int               `yaml:"per_process"` // 0 = no bound of its own
	RequestsPerMinute int               `yaml:"requests_per_minute"`
	TokensPerMinute   int               `yaml:"tokens_per_minute"`
	Timeout           time.Duration     `yaml:"timeout"`
	Retries           int               `yaml:"retries"`
	Responses         string            `yaml:"responses"` // native or chat
	Media             []MediaConfig     `yaml:"media"`
}

// MediaConfig describes asynchronous jobs of a provider's own. What is left out has the defaults of package providers.
type MediaConfig struct {
	Path     string        `yaml:"path"`
	ID       string        `yaml:"id"`
	Poll     string        `yaml:"poll"`
	Status   string        `yaml:"status"`
	Done     []string      `yaml:"done"`
	Failed   []string      `yaml:"failed"`
	Error    string        `yaml:"error"`
	Progress string        `yaml:"progress"`
	Fetch    string        `yaml:"fetch"`
	URL      string        `yaml:"url"`
	Cancel   string        `yaml:"cancel"`
	Every    time.Duration `yaml:"every"`
}

// setDefaults fills what a list entry may leave out. A list has no defaults
// in config.yaml, so they stand here; the example there shows the same.
func (p *ProviderConfig) setDefaults() {
	p.Type = "openai"
	p.Concurrency = 32
	p.Timeout = 10 * time.Minute
	p.Retries = 4
	p.Responses = "native"
}

// SimulatorConfig sets the stand-in provider that serve starts.
type SimulatorConfig struct {
	Enabled bool          `yaml:"enabled"`
	TTFT    time.Duration `yaml:"ttft"`
	TPOT    time.Duration `yaml:"tpot"`
	Tuning  time.Duration `yaml:"tuning"` // how long a fine-tuning takes
	Fail    float64       `yaml:"fail"`
	RPM     int           `yaml:"rpm"`
	Burst   int           `yaml:"burst"`
}

// TelemetryConfig says where traces go, and which.
type TelemetryConfig struct {
	OTLPEndpoint string   `yaml:"otlp_endpoint"` // "" = the environment's
	Headers      []Secret `yaml:"headers"`       // each "Name: value"
	Sample       float64  `yaml:"sample"`
	ToProviders  bool     `yaml:"to_providers"`
}

// LogConfig sets what is logged and how.
type LogConfig struct {
	Level  slog.Level `yaml:"level"`
	Format string     `yaml:"format"` // text or json
}
