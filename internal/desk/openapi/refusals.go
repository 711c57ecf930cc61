package openapi

// refused names the refusals that every operation may answer with.
var refused = map[string]string{
	"400": "Invalid", "401": "NoToken", "403": "NoScope", "404": "NotFound", "409": "Conflict", "413": "TooLarge",
	"415": "NotJSON", "429": "TooMany", "500": "Fault", "503": "Later",
}

func refusals() object {
	out := object{}
	for name, words := range map[string]string{
		"Invalid":   "the parameters are wrong; detail names the place",
		"NoToken":   "no token, or one that is not in force",
		"NoScope":   "the token lacks the scope",
		"NotFound":  "there is no such call, or nothing with that name that the caller may see",
		"Conflict":  "the state forbids it, or the first request with this Idempotency-Key is not over",
		"TooLarge":  "the body is too large",
		"NotJSON":   "the body is not of a media type that is taken here",
		"KeyReused": "this Idempotency-Key was used for another request",
		"TooMany":   "too many refused tokens from this place; Retry-After says how long",
		"Fault":     "a fault of the gateway, whose log says why",
		"Later":     "no room or no store for now; Retry-After says how long",
	} {
		out[name] = object{"description": words, "content": media("application/problem+json", object{"$ref": "#/components/schemas/Problem"})}
	}
	return out
}

// problem is an error as RFC 9457 writes it.
func problem() object {
	text := object{"type": "string"}
	return object{
		"type": "object", "description": "RFC 9457", "required": []any{"type", "title", "status"},
		"properties": object{"type": text, "title": text, "status": object{"type": "integer"}, "detail": text},
	}
}

// key is the header with which a request is done once however often it is sent.
func key() object {
	return object{
		"name": "Idempotency-Key", "in": "header", "required": false, "schema": object{"type": "string", "maxLength": 200},
		"description": "Chosen by the caller, for one act. The same key with the same body within 24 hours is answered as the first was, and nothing is done again.",
	}
}
