package desk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// act is what somebody does with a page. The acts here ask the page itself how it stands: the
// driver's own picture of its nodes is now and then never drawn again when one page follows
// another at once, and whoever waits for it waits for ever.
type act = chromedp.Action[chromedp.Void]

// patience is how long an act may wait for what it needs.
const patience = 2 * time.Minute

// whole says whether the page is there. It needs no clock: where a page may run no script, that
// stands still.
const whole = `document.readyState === "complete"`

// eval runs a script, and waits for what it promises.
func eval[T any](ctx context.Context, t *chromedp.Target, script string) (T, error) {
	return chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise)(ctx, t)
}

// await asks a script again until it says yes; a page that is leaving says nothing.
func await(ctx context.Context, t *chromedp.Target, what, script string) error {
	var last error
	for {
		ok, err := eval[bool](ctx, t, script)
		if err == nil && ok {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, errors.Join(ctx.Err(), last))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// navigate goes to an address and waits until the page is whole.
func navigate(to string) act {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for range 5 {
			before, err := loader(ctx, t)
			if err != nil {
				return err
			}
			res, err := cdp.Call(ctx, t, page.Navigate, page.NavigateParams{URL: to})
			switch {
			case err != nil:
				return fmt.Errorf("%s: %w", to, err)
			case res.ErrorText == "net::ERR_ABORTED": // the page went elsewhere by itself meanwhile
				continue
			case res.ErrorText != "":
				return errors.New(to + ": " + res.ErrorText)
			}
			for now := before; res.LoaderID != "" && err == nil && now == before; now, err = loader(ctx, t) {
				time.Sleep(5 * time.Millisecond)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", to, err)
			}
			return await(ctx, t, to+" is whole", whole)
		}
		return errors.New(to + ": the page went elsewhere, again and again")
	})
}

// loader is which page there is.
func loader(ctx context.Context, t *chromedp.Target) (cdp.LoaderID, error) {
	res, err := cdp.Call(ctx, t, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		return "", err
	}
	return res.FrameTree.Frame.LoaderID, nil
}

// seen is the first element that can be seen of those that a selector has, in a script.
func seen(selector string) string {
	return `[...document.querySelectorAll(` + quoted(selector) + `)].find(e => { const r = e.getBoundingClientRect(); return r.width > 0 && r.height > 0 && e.checkVisibility({visibilityProperty: true}) })`
}

// visible waits until something can be seen.
func visible(selector string) act {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		return await(ctx, t, selector+" is seen", "!!"+seen(selector))
	})
}

// absent waits until there is no such thing on a page that is whole.
func absent(selector string) act {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		return await(ctx, t, selector+" is gone", `document.readyState === "complete" && !document.querySelector(`+quoted(selector)+`)`)
	})
}

// click presses the mouse on something, once it can be seen and nothing covers it.
func click(selector string) act {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if _, err := visible(selector)(ctx, t); err != nil {
			return err
		}
		for end := time.Now().Add(patience / 2); ; {
			at, err := eval[[]float64](ctx, t, `(() => { const e = `+seen(selector)+`; if (!e) return [];
				e.scrollIntoView({block: "center", inline: "nearest", behavior: "instant"});
				const r = e.getClientRects()[0], x = r.x + r.width / 2, y = r.y + r.height / 2, hit = document.elementFromPoint(x, y);
				return hit && (e.contains(hit) || hit.contains(e) && hit.closest("label")) ? [x, y] : [] })()`)
			if err == nil && len(at) == 2 {
				_, err := chromedp.MouseClickXY(at[0], at[1])(ctx, t)
				return err
			}
			if time.Now().After(end) || ctx.Err() != nil {
				return fmt.Errorf("%s cannot be clicked: %w", selector, errors.Join(err, ctx.Err()))
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}

// keys types into a field, once it can be seen.
func keys(selector, text string) act {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if err := await(ctx, t, selector+" has the focus", `(() => { const e = `+seen(selector)+`; if (e) e.focus(); return !!e && document.activeElement === e })()`); err != nil {
			return err
		}
		_, err := chromedp.KeyEvent(text)(ctx, t)
		return err
	})
}

// set gives a field its value, as if it was chosen.
func set(selector, value string) act {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		return await(ctx, t, selector+" is set", `(() => { const e = document.querySelector(`+quoted(selector)+`); if (!e) return false; e.value = `+quoted(value)+`;
			e.dispatchEvent(new Event("input", {bubbles: true})); e.dispatchEvent(new Event("change", {bubbles: true})); return true })()`)
	})
}
