// Package testservers starts real servers for tests and the bench: PostgreSQL, Redis with its sentinel, and S3. Each is a
// server of the caller's own, on free ports of 127.0.0.1, with its data in a new temporary folder. It can be killed, started again
// where it was, paused and resumed; Stop leaves nothing behind. Where the caller dies, its servers die too (on Linux).
//
// Nothing here touches a server that was running before.
package testservers
