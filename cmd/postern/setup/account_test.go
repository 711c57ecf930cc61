package setup_test

import (
	"testing"

	"postern/cmd/postern/setup"
	"postern/internal/config"
	"postern/internal/config/desk"
)

func TestAccountRates(t *testing.T) {
	c := &config.Config{Abuse: desk.Default()}
	c.Abuse.Measures.Throttle.Messages, c.Abuse.Measures.Throttle.Recipients = 20, 30
	if m, r := setup.AccountRates(c); m != 100 || r != 150 {
		t.Errorf("without a rate: %d, %d", m, r)
	}
	c.Rates = map[string]config.Rate{"account": {Hour: 500}}
	if m, r := setup.AccountRates(c); m != 500 || r != 150 {
		t.Errorf("with one of them: %d, %d", m, r)
	}
	c.Rates["account_recipients"] = config.Rate{Hour: 900}
	if m, r := setup.AccountRates(c); m != 500 || r != 900 {
		t.Errorf("with both: %d, %d", m, r)
	}
}
