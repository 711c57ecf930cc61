module postern

go 1.26.8

require (
	filippo.io/age v1.2.1 // keys in a backup, encrypted to the public keys of who may restore them
	github.com/alecthomas/kong v1.17.0 // the command line: typed flags, help, exit paths
	github.com/alicebob/miniredis/v2 v2.40.0 // a second Redis of another hand under the suites of the Redis home
	github.com/baruwa-enterprise/clamd v1.0.1 // clamd client of others, the oracle of our own in tests (docs/decisions/001)
	github.com/chromedp/chromedp v0.23.0 // a real browser on the pages of the desk, in tests
	github.com/emersion/go-msgauth v0.7.0 // DKIM signing for the demo, and the oracle of our verifier
	github.com/emersion/go-sasl v0.0.0-20241020182733-b788ff22d5a6 // the SASL interface that go-smtp hands to sessions
	github.com/emersion/go-smtp v0.25.1 // the SMTP server state machine behind our connection
	github.com/fsnotify/fsnotify v1.10.1 // reload when configuration or rules change
	github.com/goccy/go-yaml v1.19.2 // YAML with the place of every node, for errors people can act on
	github.com/google/go-cmp v0.7.0 // readable differences in tests
	github.com/invopop/jsonschema v0.14.0 // the JSON Schema of postern.yaml for editors
	github.com/klauspost/compress v1.20.1 // zstd for held bodies
	github.com/makiuchi-d/gozxing v0.1.1 // the QR codes of pictures, in processes of their own
	github.com/microcosm-cc/bluemonday v1.0.27 // what of the HTML of a held message is shown, inside a sandbox
	github.com/miekg/dns v1.1.73 // DNS wire format, for the resolver and the test servers
	github.com/coreos/go-oidc/v3 v3.21.0 // sign-in at an OpenID provider: discovery, keys, ID tokens
	github.com/nwaples/rardecode/v2 v2.4.6 // what RAR archives hold
	github.com/oschwald/maxminddb-golang/v2 v2.9.0 // countries and networks of addresses from mmdb files, where an operator has them
	github.com/pires/go-proxyproto v0.15.0 // PROXY protocol v1 and v2 in front of listeners
	github.com/pquerna/otp v1.5.0 // codes of authenticators (RFC 6238) and their QR codes
	github.com/prometheus/client_golang v1.25.0 // metrics in the format everybody scrapes
	github.com/redis/go-redis/v9 v9.23.0 // the Redis protocol to a single server, Sentinel and Cluster
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // the judge of the XARF documents we write, in tests
	github.com/ulikunitz/xz v0.5.15 // LZMA, for what 7z archives hold; their directories are read by ourselves, in bounds
	github.com/wasilibs/go-re2 v1.13.0 // pattern sets matched in linear time, without cgo
	go.uber.org/goleak v1.3.0 // tests that leave a goroutine behind fail
	golang.org/x/crypto v0.58.0 // argon2id for passwords, XChaCha20-Poly1305 for trace tokens
	golang.org/x/image v0.47.0 // WebP and BMP for those processes
	golang.org/x/net v0.61.0 // HTML tokenizer, IDNA and the public suffix list
	golang.org/x/oauth2 v0.37.0 // the code exchange of that sign-in, with PKCE
	golang.org/x/sys v0.49.0 // what those processes give up: system calls and resources
	golang.org/x/text v0.43.0 // charsets, folding and normalisation of text
	modernc.org/sqlite v1.60.1 // the embedded store: SQL without cgo; 1.61 breaks go mod tidy
	pgregory.net/rapid v1.3.0 // property tests
)

require (
	github.com/aymerick/douceur v0.2.0 // indirect
	github.com/bahlo/generic-list-go v0.2.0 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/boombuler/barcode v1.0.1-0.20190219062509-6c824513bacc // indirect
	github.com/buger/jsonparser v1.1.2 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/chromedp/cdproto v0.159.0 // indirect
	github.com/dustin/go-humanize v1.0.1 // indirect
	github.com/go-jose/go-jose/v4 v4.1.4 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/gorilla/css v1.0.1 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/ncruces/go-strftime v1.0.0 // indirect
	github.com/pb33f/ordered-map/v2 v2.3.1 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	github.com/yuin/gopher-lua v1.1.1 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	go.yaml.in/yaml/v4 v4.0.0-rc.2 // indirect
	golang.org/x/xerrors v0.0.0-20200804184101-5ec99f83aff1 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
	modernc.org/libc v1.77.1 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
)
