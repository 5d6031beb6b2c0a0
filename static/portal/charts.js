// Pictures of readings say what stands under the pointer, or under the keyboard's focus, below the picture.
// Nothing here is needed: each place has its words without it, and each picture its table.
(function () {
  'use strict'

  const language = document.documentElement.lang || 'en'
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 3 })
  const dayName = new Intl.DateTimeFormat(language, { weekday: 'short', month: 'short', day: 'numeric', timeZone: 'UTC' })
  const hourName = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: 'UTC' })

  // The hours of a heat map: a column for each day, a row for each hour.
  function hoursOf (plot) {
    const days = plot.dataset.values.split(';').map(function (day) { return day.split(',') })
    const scale = Math.pow(10, Number(plot.dataset.places))
    const first = Date.parse(plot.dataset.first + 'T00:00:00Z')
    return {
      words: function (day, hour) {
        const value = (days[day] || [])[hour]
        if (!value) return ''
        const moment = new Date(first + (day * 24 + hour) * 3600000)
        return dayName.format(moment) + ', ' + hourName.format(moment) + ': ' + number.format(value / scale) + ' ' + plot.dataset.unit
      },
      at: function (event) {
        const box = plot.getBoundingClientRect()
        const day = Math.floor((event.clientX - box.left) / box.width * days.length)
        const hour = Math.floor((event.clientY - box.top - Number(plot.dataset.top)) / Number(plot.dataset.tall) * 24)
        return this.words(day, hour)
      },
      dayOf: function (place) {
        const hit = place.querySelector('.chart-hit')
        const isOneDay = parseFloat(hit.getAttribute('width')) < 150 / days.length
        return isOneDay ? Math.round(parseFloat(hit.getAttribute('x')) / 100 * days.length) : -1
      }
    }
  }

  function enhance (figure) {
    const plot = figure.querySelector('.chart-plot')
    const said = figure.querySelector('[data-said]')
    const places = Array.from(plot.querySelectorAll('.chart-place'))
    if (!places.length || !said) return
    const hint = said.textContent
    const hours = plot.dataset.values === undefined ? null : hoursOf(plot)
    let hour = 0

    function tell (place, words) {
      for (const other of places) other.classList.toggle('is-told', other === place)
      said.textContent = place ? words || place.getAttribute('aria-label') : hint
    }

    function focus (index) {
      const place = places[Math.max(0, Math.min(places.length - 1, index))]
      for (const other of places) other.setAttribute('tabindex', other === place ? '0' : '-1')
      place.focus()
    }

    for (const place of places) {
      const title = place.querySelector('title')
      if (title) title.remove() // said below instead
    }
    places[0].setAttribute('tabindex', '0')
    if (hours) said.setAttribute('aria-live', 'polite')

    plot.addEventListener('pointermove', function (event) {
      const place = event.target.closest('.chart-place')
      tell(place, place && hours ? hours.at(event) : '')
    })
    plot.addEventListener('pointerleave', function () { tell(null) })
    plot.addEventListener('focusin', function (event) { tell(event.target.closest('.chart-place')) })
    plot.addEventListener('focusout', function () { tell(null) })
    plot.addEventListener('keydown', function (event) {
      const index = places.indexOf(event.target.closest('.chart-place'))
      const steps = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: places.length - 1 }
      const day = hours && index >= 0 ? hours.dayOf(places[index]) : -1
      if (event.key in steps) {
        event.preventDefault()
        focus(steps[event.key])
      } else if (day >= 0 && (event.key === 'ArrowUp' || event.key === 'ArrowDown')) {
        event.preventDefault()
        hour = (hour + (event.key === 'ArrowDown' ? 1 : 23)) % 24
        tell(places[index], hours.words(day, hour))
      }
    })
  }

  for (const figure of document.querySelectorAll('[data-chart]')) enhance(figure)
})()
