package gateway

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const downloadTimeout = 20 * time.Second

// ErrNotFound says that there is no such invoice, whatever the database calls it.
var ErrNotFound = errors.New("invoice not found")

type Store struct {
	db *sql.DB
}

func (s *Store) Load(ctx context.Context, id string) (*Invoice, error) {
	invoice, err := s.query(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("load %s: %w", id, ErrNotFound)
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "57014" {
		return nil, fmt.Errorf("load %s: query cancelled: %w", id, err)
	}
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", id, err)
	}
	return invoice, nil
}

// Attachment downloads a PDF, but waits no longer than the caller does.
func Attachment(ctx context.Context, url string) ([]byte, error) {
	type result struct {
		body []byte
		err  error
	}
	done := make(chan result, 1) // without the buffer the sender would block for ever
	go func() {
		body, err := download(ctx, url)
		done <- result{body, err}
	}()
	select {
	case r := <-done:
		return r.body, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func reverse(names []string) []string {
	for i, j := 0, len(names)-1; i < j; i, j = i+1, j-1 {
		names[i], names[j] = names[j], names[i]
	}
	return names
}
