package e2e

import "testing"

// What Ringback depends on goes away for a while, and it goes on by itself: J2, J3, J8, R9, R10, R11, R20. The outages run side
// by side, since they wait most of the time; RINGBACK_LONG=1 makes those longer that are cut short here.
func TestOutages(t *testing.T) {
	together(t, map[string]func(t *testing.T){
		"a pause of the database repeats nothing":     databasePauses,
		"a crash of the database repeats nothing":     databaseCrashes,
		"a database without room keeps nothing":       databaseFull,
		"a file store that is away completes nothing": filesAway,
		"a full disk completes nothing":               diskFull,
		"a Redis that goes and comes loses nothing":   redisGoes,
		"what is no task costs a count":               malformedTasks,
		"a frozen worker is taken over once":          workerFreezes,
		"callbacks need no API":                       noAPI,
		"submissions need no worker":                  noWorker,
	})
}
