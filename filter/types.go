package filter

// FileTypes are the words by which a policy can name files beside the endings of their names.
func FileTypes() []string {
	return []string{
		"program", "script", "code", "shortcut", "disk-image", "page", "onenote", "office", "macro", "auto-macro", "remote", "dde",
		"packed-program", "pdf", "pdf-launch", "archive", "encrypted", "nested", "smuggling", "disguised", "picture", "media", "text",
	}
}
