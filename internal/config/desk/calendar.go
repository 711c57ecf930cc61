package desk

// Calendar is where the abuse desk's working time is written down.
type Calendar struct {
	Dir string `yaml:"dir" json:"dir,omitempty" jsonschema:"description=folder of calendars laid over the program's own\\, and of teams.yaml; empty: the program's own\\, and one team that works on weekdays in UTC"`
}
