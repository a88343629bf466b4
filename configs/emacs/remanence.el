;;; remanence.el --- Long-term, local, private memory for coding assistants  -*- lexical-binding: t; -*-

;; Package-Requires: ((emacs "28.1") (eglot "1.9"))
;; Keywords: convenience, tools

;;; Commentary:

;; Setup (`pipx install remanence' first):
;;
;;   (add-to-list 'load-path "/path/to/remanence/configs/emacs")
;;   (require 'remanence)
;;   (remanence-eglot 'text-mode)                ; Remanence alone
;;   (remanence-eglot 'python-mode "pylsp")      ; beside another server
;;   (add-hook 'python-mode-hook #'eglot-ensure)
;;
;; Eglot knows one server per buffer.  `remanence-eglot' with another server therefore goes through the
;; multiplexer `rass' (pipx install rassumfrassum), which starts both.  It merges completions and sends
;; commands to the server that has them, but asks only the first for hover: there the other server's wins.
;;
;; The commands below need no eglot: where no eglot server of the buffer knows them, they speak to a
;; server of their own.  All servers share one engine, so that costs little.
;;
;;   M-x remanence-recall    list what is remembered about a text (`d' there forgets)
;;   M-x remanence-capture   remember a question and the region as its answer
;;   M-x remanence-enrich    add what is remembered to the region, or to a prompt (into the kill ring)
;;   M-x remanence-forget    forget the memory at point
;;   M-x remanence-status    what is remembered and what runs

;;; Code:

(require 'eglot)
(require 'jsonrpc)
(require 'seq)
(require 'subr-x)

(defgroup remanence nil
  "Long-term memory for coding assistants."
  :group 'tools)

(defcustom remanence-command '("remanence" "lsp")
  "The command that runs the language server, and its arguments."
  :type '(repeat string))

(defcustom remanence-initialization-options nil
  "The server's options as a plist, or nil for its defaults.
For example (:hover (:limit 5) :completion (:tokenBudget 1000))."
  :type 'plist)

;;;; Beside eglot

(defun remanence-contact (&rest other-server)
  "How eglot starts Remanence, or rass with Remanence beside OTHER-SERVER.
OTHER-SERVER is a command and its arguments."
  (append (if other-server
              (append '("rass" "--") other-server '("--") remanence-command)
            remanence-command)
          (when remanence-initialization-options
            (list :initializationOptions remanence-initialization-options))))

(defun remanence-eglot (mode &rest other-server)
  "Make eglot start Remanence in MODE, beside OTHER-SERVER if given.
OTHER-SERVER is a command and its arguments."
  (setf (alist-get mode eglot-server-programs nil nil #'equal)
        (apply #'remanence-contact other-server)))

;;;; The server that is asked

(defvar remanence--connection nil "The server of our own, for buffers whose eglot server is another's.")

(defun remanence--eglot-server ()
  "The eglot server of this buffer, if it knows Remanence's commands."
  (when-let ((server (eglot-current-server))
             (provider (plist-get (eglot--capabilities server) :executeCommandProvider)))
    (when (seq-contains-p (plist-get provider :commands) "remanence.recall")
      server)))

(defun remanence--own-server ()
  "The server of our own, started if need be."
  (unless (and remanence--connection (jsonrpc-running-p remanence--connection))
    (setq remanence--connection
          (make-instance 'jsonrpc-process-connection
                         :name "remanence"
                         :process (lambda ()
                                    (make-process :name "remanence" :command remanence-command
                                                  :connection-type 'pipe :coding 'utf-8-emacs-unix
                                                  :noquery t
                                                  :stderr (get-buffer-create " *remanence stderr*")))
                         :notification-dispatcher #'ignore
                         :request-dispatcher #'ignore))
    (jsonrpc-request remanence--connection :initialize
                     (list :processId (emacs-pid) :rootUri nil :capabilities (make-hash-table)
                           :initializationOptions remanence-initialization-options))
    (jsonrpc-notify remanence--connection :initialized (make-hash-table)))
  remanence--connection)

(defun remanence-call (verb &optional request)
  "The answer to remanence.VERB with REQUEST, a plist.
A pair whose value is nil is left out."
  (let ((said (seq-mapcat (pcase-lambda (`(,name ,value)) (when value (list name value)))
                          (seq-partition request 2))))
    (jsonrpc-request (or (remanence--eglot-server) (remanence--own-server))
                     :workspace/executeCommand
                     (list :command (concat "remanence." verb)
                           :arguments (vector (or said (make-hash-table)))))))

(defun remanence--place ()
  "Where the user is: recall ranks by it."
  (when buffer-file-name
    (list :uri (concat "file://" (url-hexify-string (file-truename buffer-file-name) url-path-allowed-chars)))))

(defun remanence--workspace ()
  "The root folder of the project of this buffer, or nil."
  (when-let ((project (project-current)))
    (directory-file-name (expand-file-name (project-root project)))))

;;;; Commands

(defvar remanence-memories-mode-map
  (let ((map (make-sparse-keymap)))
    (define-key map "d" #'remanence-forget)
    map))

(define-derived-mode remanence-memories-mode special-mode "Memories"
  "Memories, best first.
\\<remanence-memories-mode-map>\\[remanence-forget] forgets the one at point."
  (setq-local outline-regexp "\\* ")
  (outline-minor-mode 1))

(defun remanence--insert (memory)
  "Insert MEMORY, so that `remanence-forget' finds it."
  (let ((start (point))
        (asked-at (plist-get memory :askedAt)))
    (insert "* " (car (split-string (plist-get memory :question) "\n")) "\n"
            (string-join (delq nil (list (when asked-at (format-time-string "%F" (/ asked-at 1000) t))
                                         (plist-get memory :tool)
                                         (plist-get memory :model)))
                         " · ")
            "\n\n" (plist-get memory :question)
            "\n\n" (plist-get memory :answer)
            (mapconcat (lambda (reason) (concat "\n- " reason)) (plist-get memory :why) "")
            "\n\n")
    (put-text-property start (point) 'remanence-id (plist-get memory :id))))

;;;###autoload
(defun remanence-recall (query)
  "List what is remembered about QUERY."
  (interactive (list (read-string "Recall: " (thing-at-point 'symbol t))))
  (let* ((answer (remanence-call "recall" (append (list :query query) (remanence--place))))
         (memories (plist-get answer :memories)))
    (if (seq-empty-p memories)
        (message "Remanence: nothing remembered about that")
      (with-current-buffer (get-buffer-create "*remanence*")
        (let ((inhibit-read-only t))
          (erase-buffer)
          (seq-do #'remanence--insert memories))
        (remanence-memories-mode)
        (goto-char (point-min))
        (display-buffer (current-buffer))))
    (when-let ((degraded (plist-get answer :degraded)))
      (message "Remanence: %s" degraded))))

;;;###autoload
(defun remanence-capture (question answer)
  "Remember QUESTION and ANSWER; interactively, the region is the answer."
  (interactive (list (read-string "Question: ")
                     (if (use-region-p)
                         (buffer-substring-no-properties (region-beginning) (region-end))
                       (read-string "Answer: "))))
  (let ((captured (remanence-call "capture" (append (list :question question :answer answer
                                                          :workspace (remanence--workspace))
                                                    (remanence--place)))))
    (message "Remanence: %s" (plist-get captured :status))
    captured))

;;;###autoload
(defun remanence-enrich (prompt &optional start end)
  "Add what is remembered to PROMPT.
The result replaces the text from START to END (interactively, the
region), or goes into the kill ring."
  (interactive (if (use-region-p)
                   (list (buffer-substring-no-properties (region-beginning) (region-end))
                         (region-beginning) (region-end))
                 (list (read-string "Prompt: "))))
  (let* ((answer (remanence-call "enrichPrompt" (append (list :prompt prompt) (remanence--place))))
         (enriched (plist-get answer :prompt)))
    (if start
        (progn (delete-region start end)
               (save-excursion (goto-char start) (insert enriched)))
      (kill-new enriched))
    (message "Remanence: memories used: %d, about %d tokens%s"
             (length (plist-get answer :memories)) (plist-get answer :tokens)
             (if start "" ", in the kill ring"))))

;;;###autoload
(defun remanence-forget (id)
  "Forget the memory ID for good; interactively, the one at point."
  (interactive (list (or (get-text-property (point) 'remanence-id)
                         (user-error "No memory at point"))))
  (when (or noninteractive (yes-or-no-p "Forget this memory for good? "))
    (let ((answer (remanence-call "forget" (list :ids (vector id)))))
      (when-let ((buffer (get-buffer "*remanence*")))
        (with-current-buffer buffer
          (save-excursion
            (goto-char (point-min))
            (when-let ((match (text-property-search-forward 'remanence-id id t)))
              (let ((inhibit-read-only t))
                (delete-region (prop-match-beginning match) (prop-match-end match)))))))
      (message "Remanence: forgotten: %d" (plist-get answer :forgotten))
      answer)))

;;;###autoload
(defun remanence-status ()
  "Tell what is remembered and what runs."
  (interactive)
  (let ((status (remanence-call "status")))
    (message "Remanence: memories: %d, not yet indexed: %d, kept in %s%s"
             (plist-get status :exchanges) (plist-get status :pending) (plist-get status :home)
             (if-let ((degraded (plist-get status :degraded))) (concat "; " degraded) ""))
    status))

(provide 'remanence)
;;; remanence.el ends here
