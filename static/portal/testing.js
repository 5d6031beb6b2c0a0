// A part that is running is looked at again every second and a half; without script there is a link for that.
(function () {
  'use strict'

  function isRead () {
    return document.querySelector('#live details[open]') !== null
  }

  async function look () {
    const live = document.getElementById('live')
    if (!live || !('live' in live.dataset)) return
    try {
      const answer = await fetch(window.location.href, { headers: { Accept: 'text/html' }, redirect: 'error' })
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
      const fresh = page.getElementById('live')
      if (answer.ok && fresh && !isRead()) live.replaceWith(document.adoptNode(fresh))
    } catch {
      // The next look may do better.
    }
    setTimeout(look, 1500)
  }

  setTimeout(look, 1500)
})()
