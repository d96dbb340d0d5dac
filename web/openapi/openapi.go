// Package openapi is the API's document, and the page that shows it to people.
package openapi

import _ "embed"

// Document is openapi.yaml: OpenAPI 3.1, written by hand. Package contract holds the routes and their answers to it.
//
//go:embed openapi.yaml
var Document []byte
