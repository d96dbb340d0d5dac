package jobs

// ErrResultsGone is the error of reading what an ended job has brought once that is kept no longer.
func ErrResultsGone(id string) error {
	return Errorf(CodeExpired, "", "The results of '%s' are kept no longer (retention.results). What became of it still says GET /v1/jobs/%s; a batch's output and error files have a time of their own.", id, id)
}

// Kept is nil while what the job has brought can be read, and ErrResultsGone from then on.
func (j *Job) Kept() error {
	if !j.ResultsGone {
		return nil
	}
	return ErrResultsGone(j.ID)
}
