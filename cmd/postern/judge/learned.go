package judge

import (
	"context"
	"io"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/learning"
	"postern/cmd/postern/steps"
	"postern/filter"
	"postern/internal/control"
)

// learnedTimeout bounds the answer about one message.
const learnedTimeout = 30 * time.Second

// withLearned has an Offline judge by what was learned too: it is asked of the running server, or of
// the home where none runs, so its words are hashed under the key of that home.
func (o *Offline) withLearned(a *app.App) (done func(), err error) {
	server, done, err := a.Connect()
	if err != nil {
		return nil, err
	}
	o.ask(server)
	return done, nil
}

func (o *Offline) ask(server control.Caller) {
	p := *o.pipeline
	p.Steps = append(p.Steps[:len(p.Steps):len(p.Steps)], filter.Step{Name: steps.StepLearned, Stage: filter.OnData, Check: learned(server), Timeout: learnedTimeout, OnError: filter.Accept})
	o.pipeline = &p
}

func learned(server control.Caller) filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		body, err := io.ReadAll(io.NewSectionReader(m.Body, 0, m.Size))
		if err != nil {
			return nil, err
		}
		ask := learning.Look{Body: body}
		for _, to := range m.To {
			ask.To = append(ask.To, to.Address)
		}
		var said []learning.Said
		if err := server.Call(ctx, "learn.judge", ask, &said); err != nil {
			return nil, &filter.CouldNot{Words: "what was learned gave no answer", Cause: err}
		}
		var out []filter.Finding
		for _, s := range said {
			out = append(out, filter.Finding{Symbol: s.Symbol, Detail: s.Detail, For: s.For})
		}
		return out, nil
	})
}
