package responses

// Unreadable is why what an upstream said with a status of success is no answer: it is not one by its shape, or it is cut.
// The text goes on where "The provider's answer" begins. Whoever asked may ask again: nothing of it counts.
type Unreadable string

func (u Unreadable) Error() string { return "the provider's answer " + string(u) }
