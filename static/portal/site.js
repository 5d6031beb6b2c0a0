// Nothing here is needed to use the site: it shows what only works with script, moves the focus to an error summary,
// and warns before a quiet session ends.
(function () {
  'use strict'

  for (const element of document.querySelectorAll('[data-needs-script]')) element.hidden = false

  document.addEventListener('allauth.error', function (event) {
    const problem = document.querySelector('[data-passkey-problem]')
    if (problem) {
      event.preventDefault()
      problem.hidden = false
    }
  })

  const summary = document.getElementById('error-summary')
  if (summary) summary.focus()

  const warning = document.getElementById('session-warning')
  if (!warning) return
  const idle = Number(warning.dataset.idleSeconds) * 1000
  let timer

  function watch () {
    warning.hidden = true
    clearTimeout(timer)
    timer = setTimeout(function () { warning.hidden = false }, idle - 150 * 1000)
  }

  warning.querySelector('button').addEventListener('click', async function () {
    const answer = await fetch(warning.dataset.stayUrl, { method: 'POST', headers: { 'X-CSRFToken': warning.dataset.token } })
    if (answer.ok) watch()
    else window.location.reload()
  })
  watch()
})()
