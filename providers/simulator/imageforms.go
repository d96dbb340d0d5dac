package simulator

// askImageEdit reads a form with one image or several, a prompt, and a mask that
// is dropped.
func askImageEdit(c *call) *problem {
	if c.file.count == 0 {
		return missing("image")
	}
	return askImage(c)
}

// askImageVariation asks for no prompt. Where one is given, directives are read
// from it.
func askImageVariation(c *call) *problem {
	if c.file.count == 0 {
		return missing("image")
	}
	c.prompt = c.req.prompt.Str
	c.promptTokens = countTokens(c.prompt)
	return nil
}
