package callbacks

import "github.com/ringback/ringback/jobs"

// Interrupted is the attempt of a delivery whose process ended with it in hand. Whether it was sent, nobody knows.
func Interrupted(d *Delivery, now jobs.Time) Attempt {
	return Attempt{
		ProjectID: d.ProjectID, ID: jobs.NewID("att_"), DeliveryID: d.ID, Number: d.Recorded + 1, StartedAt: now,
		ErrorClass: ClassInterrupted, Timings: timings{}.json(), Manual: d.Manual,
		Rule: "sent again at once: Ringback ended during the attempt, which may have arrived",
	}
}
