;;; eglot_session.el --- A session of a user in Emacs, told as JSON lines  -*- lexical-binding: t; -*-
;; emacs --batch -l eglot_session.el    environment: REMANENCE_EL (its folder), TEST_FILE, REMANENCE_HOME
(package-initialize)
(require 'json)
(add-to-list 'load-path (getenv "REMANENCE_EL"))
(require 'remanence)
(setq eglot-sync-connect 30 eglot-autoshutdown t)

(defun tell (name value)
  (princ (concat (json-encode (list (cons name value))) "\n")))

(defun hovered ()
  "What eldoc would show at point."
  (let (shown)
    (eglot-hover-eldoc-function (lambda (doc &rest _) (setq shown (substring-no-properties (or doc "")))))
    (with-timeout (30) (while (not shown) (accept-process-output nil 0.05)))
    shown))

(find-file (getenv "TEST_FILE"))
(python-mode)

;; Without eglot the commands speak to a server of their own.
(tell 'eglot_before (and (remanence--eglot-server) t))
(tell 'status (plist-get (remanence-status) :exchanges))
(tell 'captured (plist-get (remanence-capture "Which axle does the penny-farthing use?" "The large one.") :status))

;; With eglot they speak to its server.
(remanence-eglot 'python-mode)
(apply #'eglot (eglot--guess-contact))
(tell 'eglot_after (and (remanence--eglot-server) t))
(goto-char (point-min))
(search-forward "parse_inv")
(tell 'hover (hovered))

(goto-char (point-max))
(tell 'completions
      (let ((response (jsonrpc-request (eglot-current-server) :textDocument/completion
                                       (eglot--CompletionParams))))
        (mapcar (lambda (item) (plist-get item :label))
                (if (vectorp response) response (plist-get response :items)))))

(remanence-recall "penny-farthing axle")
(with-current-buffer "*remanence*"
  (tell 'recalled (buffer-substring-no-properties (point-min) (point-max)))
  (tell 'read_only buffer-read-only)
  (goto-char (point-min))
  (call-interactively #'remanence-forget)
  (tell 'left (buffer-substring-no-properties (point-min) (point-max))))

(with-temp-buffer
  (insert "before\nWhy does parse_invoice_total raise InvalidOperation?\nafter\n")
  (goto-char (point-min))
  (forward-line 1)
  (remanence-enrich (buffer-substring (point) (line-end-position)) (point) (line-end-position))
  (tell 'enriched (buffer-string)))
(remanence-enrich "Why does parse_invoice_total raise InvalidOperation?")
(tell 'killed (substring-no-properties (current-kill 0)))

(eglot-shutdown (eglot-current-server))
