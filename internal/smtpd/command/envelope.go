package command

// Envelope reads the parameters of MAIL or RCPT. It returns the SIZE, those parameters that
// another parser shall still read, and what to answer when they cannot be taken.
func Envelope(verb, s string, limit int64) (size int64, keep string, refuse *Reply) {
	params, err := Params(s)
	if err != nil {
		return 0, "", NewReply(501, 5, 4, verb+" parameters: "+err.Error())
	}
	for _, p := range params {
		switch {
		case verb == "MAIL" && p.Key == "SIZE":
			if size, err = Size(p.Value); err != nil {
				return 0, "", NewReply(501, 5, 4, "SIZE is not a number")
			}
			if size > limit {
				return 0, "", NewReply(552, 3, 4, "message is too large")
			}
		case verb == "MAIL" && (p.Key == "BODY" || p.Key == "SMTPUTF8" || p.Key == "AUTH"):
			keep += " " + p.Key
			if p.Value != "" {
				keep += "=" + p.Value
			}
		default:
			// REQUIRETLS and the DSN parameters end here: they were not offered.
			return 0, "", NewReply(555, 5, 4, "parameter not offered: "+Printable(p.Key, 40))
		}
	}
	return size, keep, nil
}
